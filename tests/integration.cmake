# The tests that need the real server in a process of its own: independent clients in Python (label integration) and
# browsers driven by Node (label e2e).  What each takes of the machine: CMakeLists.txt; the seconds are a first run's.
set(PLENUM_INTEGRATION ${CMAKE_CURRENT_SOURCE_DIR}/integration)
set(PLENUM_E2E ${CMAKE_CURRENT_SOURCE_DIR}/e2e)
set(PLENUM_INTEGRATION_LISTENS aiortc conversation mix overload)
list(APPEND PLENUM_INTEGRATION_LISTENS admission) # it measures milliseconds
set(PLENUM_INTEGRATION_WAITS canary drain http load log memory operator pressure shards signaling stall start websocket whip)
set(PLENUM_E2E_WAITS killed)
set(PLENUM_E2E_WORKS drain exposition full page status) # what they hear may come a second later
set(PLENUM_COST_load COST 300)
set(PLENUM_COST_memory COST 200)

# What steady_test.py preloads into the server.  A sanitizer has an allocator of its own.
if(NOT PLENUM_SANITIZE)
	add_library(plenum_count_calls MODULE ${PLENUM_INTEGRATION}/count_calls.c)
	target_compile_options(plenum_count_calls PRIVATE -U_FORTIFY_SOURCE)
	target_link_libraries(plenum_count_calls PRIVATE plenum_flags ${CMAKE_DL_LIBS})
endif()

plenum_needs(clients)
set(needs ${PLENUM_TEST_PREFIX}needs/clients)
if(PLENUM_SANITIZE)
	list(APPEND needs ${PLENUM_TEST_PREFIX}needs/sanitizer)
endif()
file(GLOB INTEGRATION_SOURCES CONFIGURE_DEPENDS ${PLENUM_INTEGRATION}/*_test.py)
foreach(source IN LISTS INTEGRATION_SOURCES)
	get_filename_component(name ${source} NAME_WE)
	string(REGEX REPLACE "_test$" "" short ${name})
	# A sanitizer's allocator keeps what was freed, and stands before the one that is counted: its memory says nothing, and presses
	# where the load may.  Nor does the time that it takes to react, and a load of twice the capacity is too much for it.  What a rule
	# asks is the same in each tree.
	if(short MATCHES "^(memory|overload|reaction|stall|steady|prometheus)$" AND PLENUM_SANITIZE)
		continue()
	endif()
	set(more "")
	if(PLENUM_SANITIZE)
		set(more "PLENUM_SANITIZED=1;")
	endif()
	if(short STREQUAL "steady")
		set(more "PLENUM_COUNT_CALLS=$<TARGET_FILE:plenum_count_calls>;")
	endif()
	set(weight COST 100)
	if(short IN_LIST PLENUM_INTEGRATION_LISTENS)
		set(weight ${PLENUM_LISTENS})
	elseif(short IN_LIST PLENUM_INTEGRATION_WAITS)
		set(weight ${PLENUM_WAITS} COST 100)
	endif()
	set(test ${PLENUM_TEST_PREFIX}integration/${short})
	# Debian's interpreter, which has Debian's modules; a plain python3 may be another.
	add_test(NAME ${test} COMMAND /usr/bin/python3 ${source})
	set_tests_properties(${test} PROPERTIES LABELS integration TIMEOUT 180 ${weight} ${PLENUM_COST_${short}}
		FIXTURES_REQUIRED "${needs}"
		SKIP_RETURN_CODE 77
		ENVIRONMENT "${more}PLENUM_PROMETHEUS=${CMAKE_SOURCE_DIR}/build/prometheus;PLENUM_SERVER=$<TARGET_FILE:plenum>;PLENUM_LOAD=$<TARGET_FILE:plenum-load>;PYTHONDONTWRITEBYTECODE=1")
endforeach()

# Browsers take all of a small machine, so the sanitizers' trees leave them out.
if(NOT PLENUM_SANITIZE)
	find_program(PLENUM_NODE node)
	if(NOT PLENUM_NODE)
		set(PLENUM_NODE node)
	endif()
	plenum_needs(browsers ${PLENUM_NODE})
	function(plenum_e2e name)
		add_test(NAME e2e/${name} COMMAND ${ARGN} ${PLENUM_NODE} --test ${PLENUM_E2E}/${name}.test.js)
		set(weight ${PLENUM_LISTENS})
		if(name IN_LIST PLENUM_E2E_WAITS)
			set(weight ${PLENUM_WAITS} COST 100)
		elseif(name IN_LIST PLENUM_E2E_WORKS)
			set(weight ${PLENUM_WORKS} COST 900)
		endif()
		set_tests_properties(e2e/${name} PROPERTIES LABELS e2e TIMEOUT 240 SKIP_RETURN_CODE 77 ${weight} FIXTURES_REQUIRED needs/browsers
			ENVIRONMENT "PLENUM_SERVER=$<TARGET_FILE:plenum>;PLENUM_LOAD=$<TARGET_FILE:plenum-load>;PLENUM_ARTIFACTS=${CMAKE_BINARY_DIR}/e2e")
	endfunction()
	plenum_e2e(three_pages)
	plenum_e2e(mixed)
	plenum_e2e(trouble)
	plenum_e2e(killed)
	plenum_e2e(whip)
	plenum_e2e(page)
	plenum_e2e(pressure)
	plenum_e2e(full)
	plenum_e2e(drain)
	plenum_e2e(status)
	plenum_e2e(exposition)
	plenum_e2e(firefox ${PLENUM_E2E}/namespace.sh)
endif()
