# The tests that need a machine of several NUMA nodes, or control groups of their own: a guest under emulation
# (tests/numa/guest.py).  Skipped, with a word why, where qemu or the guests' kernel is missing.
foreach(nodes 2 4)
	add_test(NAME numa/placement_${nodes} COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/numa/placement_test.py
		${nodes} $<TARGET_FILE:sfu_topology_test> $<TARGET_FILE:sfu_memory_test>)
	set_tests_properties(numa/placement_${nodes} PROPERTIES LABELS numa TIMEOUT 90 SKIP_RETURN_CODE 77 COST 50
		ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
	add_test(NAME numa/server_${nodes} COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/numa/server_test.py
		${nodes} $<TARGET_FILE:plenum>)
	set_tests_properties(numa/server_${nodes} PROPERTIES LABELS numa TIMEOUT 120 SKIP_RETURN_CODE 77 COST 50
		ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
	add_test(NAME numa/conference_${nodes} COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/numa/conference_test.py
		${nodes} $<TARGET_FILE:plenum> $<TARGET_FILE:plenum-load>)
	set_tests_properties(numa/conference_${nodes} PROPERTIES LABELS numa TIMEOUT 120 SKIP_RETURN_CODE 77 COST 50
		ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endforeach()
foreach(version v1 v2)
	add_test(NAME numa/doctor_${version} COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/numa/doctor_test.py
		${version} $<TARGET_FILE:plenum>)
	set_tests_properties(numa/doctor_${version} PROPERTIES LABELS numa TIMEOUT 90 SKIP_RETURN_CODE 77 COST 50
		ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endforeach()
add_test(NAME numa/pressure COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/numa/pressure_test.py $<TARGET_FILE:plenum>)
set_tests_properties(numa/pressure PROPERTIES LABELS numa TIMEOUT 120 SKIP_RETURN_CODE 77 COST 50
	ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
