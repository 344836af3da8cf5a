# plenum-load, the load generator, and the tests of its parts.
file(GLOB LOAD_SOURCES CONFIGURE_DEPENDS load/*.c)
list(FILTER LOAD_SOURCES EXCLUDE REGEX "(_test|/main)\\.c$")
add_library(plenum_load STATIC ${LOAD_SOURCES})
target_link_libraries(plenum_load PUBLIC plenum_signaling_core PkgConfig::WEBSOCKETS Threads::Threads
	PRIVATE plenum_test_support PkgConfig::OPENSSL PkgConfig::YAML ${NICE_LIBRARY} m)
add_executable(plenum-load load/main.c)
target_link_libraries(plenum-load PRIVATE plenum_load)
plenum_tests(load plenum_load)
