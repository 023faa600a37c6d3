include(CheckCCompilerFlag)

# Every target links this for the flags of the house.
add_library(sallyport_flags INTERFACE)
target_compile_definitions(sallyport_flags INTERFACE _GNU_SOURCE)

target_compile_options(sallyport_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wcast-qual -Wpointer-arith -Wwrite-strings
    -Wvla -Wformat=2 -Wundef -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference
    -Wdouble-promotion -Wredundant-decls)

foreach(flag -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wformat-truncation=2)
    string(MAKE_C_IDENTIFIER "have${flag}" var)
    check_c_compiler_flag(${flag} ${var})
    if(${var})
        target_compile_options(sallyport_flags INTERFACE ${flag})
    endif()
endforeach()

if(SALLYPORT_WERROR)
    target_compile_options(sallyport_flags INTERFACE -Werror)
endif()
