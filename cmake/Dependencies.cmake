set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
if(SALLYPORT_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

# Memory that one thread allocates and another frees (each connection: its handshake and its data are
# on two) costs glibc a lock that the slower of the two may hold. docs/internals/performance.md
find_library(SALLYPORT_MIMALLOC_LIBRARY NAMES mimalloc)
set(mimalloc_fits OFF)
if(SALLYPORT_MIMALLOC_LIBRARY AND NOT SALLYPORT_SANITIZE)
    set(mimalloc_fits ON)
endif()
option(SALLYPORT_MIMALLOC "Link the program with mimalloc" ${mimalloc_fits})
