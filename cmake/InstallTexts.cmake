# At install time the program writes its own manual pages and its completion. `program` and `prefix`
# are set by CMakeLists.txt.
set(root "$ENV{DESTDIR}${prefix}/share")

function(write_text file)
    execute_process(COMMAND ${program} ${ARGN} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    message(STATUS "Installing: ${root}/${file}")
    file(WRITE "${root}/${file}" "${text}")
endfunction()

write_text(man/man1/sallyport.1 man)
execute_process(COMMAND ${program} help OUTPUT_VARIABLE list COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n  [a-z]+ " names "${list}")
foreach(name ${names})
    string(STRIP "${name}" name)
    write_text(man/man1/sallyport-${name}.1 man ${name})
endforeach()
write_text(bash-completion/completions/sallyport completion bash)
