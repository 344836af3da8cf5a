# The pages of web-demo/ inside the binary, so that the default needs no files: one generated C file
# with a table of names, types and bytes (signaling/pages.h).
file(GLOB PLENUM_PAGES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web-demo/*)
set(PLENUM_PAGES_C ${CMAKE_BINARY_DIR}/pages.c)
add_custom_command(
	OUTPUT ${PLENUM_PAGES_C}
	COMMAND ${CMAKE_COMMAND} -DOUT=${PLENUM_PAGES_C} -DROOT=${CMAKE_SOURCE_DIR}/web-demo
		-P ${CMAKE_SOURCE_DIR}/cmake/embed_pages.cmake
	DEPENDS ${PLENUM_PAGES} ${CMAKE_SOURCE_DIR}/cmake/embed_pages.cmake
	VERBATIM)
