# libopus: PLENUM_OPUS is "system" (Debian's, by pkg-config) or the path of one that the user supplies: a prefix, or a source or
# build tree in which it was built.  Defines the target plenum_opus.  docs/opus.md says what is to be gained.
set(PLENUM_OPUS "system" CACHE STRING "libopus: system, or the absolute path of a prefix or a tree in which it was built")

# Debian 12's is the oldest that the tests have run with; RFC 8251's corrections of the decoder are in since 1.2.
set(PLENUM_OPUS_VERSION_MIN 1.3.1)
# A decoder's state is 18 to 27 KB; with the neural networks of deep PLC it is 141 to 192.
set(PLENUM_OPUS_DECODER_KB_MAX 64)

function(plenum_opus_fail)
	list(JOIN ARGN "" sentence)
	message(FATAL_ERROR "PLENUM_OPUS is ${PLENUM_OPUS}: ${sentence}\ndocs/opus.md tells how to build a libopus for Plenum.")
endfunction()

# Where the sources are that a build tree outside of them was made of: CMake's cache or autotools' Makefile knows.
function(plenum_opus_sources tree result)
	set(${result} "" PARENT_SCOPE)
	foreach(pattern IN ITEMS "CMakeCache.txt|^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$" "Makefile|^abs_top_srcdir = (.*)$")
		string(REGEX MATCH "^([^|]*)\\|(.*)$" ignored "${pattern}")
		set(file "${tree}/${CMAKE_MATCH_1}")
		set(line "${CMAKE_MATCH_2}")
		if(EXISTS "${file}")
			file(STRINGS "${file}" found REGEX "${line}" LIMIT_COUNT 1)
			if(found MATCHES "${line}")
				set(${result} "${CMAKE_MATCH_1}" PARENT_SCOPE)
				return()
			endif()
		endif()
	endforeach()
endfunction()

# The folder that has opus/opus.h.  A source tree has its headers in include/ itself: they are shown under the name
# that they will be installed by.
function(plenum_opus_headers result)
	plenum_opus_sources(${PLENUM_OPUS} sources)
	foreach(tree IN ITEMS "${PLENUM_OPUS}" ${sources})
		if(EXISTS "${tree}/include/opus/opus.h")
			set(${result} "${tree}/include" PARENT_SCOPE)
			return()
		elseif(EXISTS "${tree}/include/opus.h")
			set(shown "${CMAKE_BINARY_DIR}/opus-include")
			file(REMOVE_RECURSE "${shown}")
			file(MAKE_DIRECTORY "${shown}")
			file(CREATE_LINK "${tree}/include" "${shown}/opus" SYMBOLIC)
			set(${result} "${shown}" PARENT_SCOPE)
			return()
		endif()
	endforeach()
	plenum_opus_fail("neither include/opus/opus.h (of a prefix) nor include/opus.h (of a source tree) is there.")
endfunction()

add_library(plenum_opus INTERFACE IMPORTED)
if(PLENUM_OPUS STREQUAL "system")
	pkg_check_modules(OPUS REQUIRED IMPORTED_TARGET opus>=${PLENUM_OPUS_VERSION_MIN})
	target_link_libraries(plenum_opus INTERFACE PkgConfig::OPUS)
else()
	if(NOT IS_ABSOLUTE "${PLENUM_OPUS}")
		plenum_opus_fail("it has to be the word system or an absolute path.")
	elseif(NOT IS_DIRECTORY "${PLENUM_OPUS}")
		plenum_opus_fail("there is no such folder.")
	endif()
	plenum_opus_headers(OPUS_HEADERS)
	# libopus.a wherever it is, else libopus.so.  Not cached: another path is another library.
	find_library(OPUS_FILE NAMES libopus.a libopus.so NAMES_PER_DIR NO_CACHE NO_DEFAULT_PATH PATHS "${PLENUM_OPUS}"
		PATH_SUFFIXES lib "lib/${CMAKE_LIBRARY_ARCHITECTURE}" lib64 . .libs src build build/.libs)
	if(NOT OPUS_FILE)
		plenum_opus_fail("the headers are there, but neither libopus.a nor libopus.so is (looked for in it, and in lib, "
			"lib64, .libs, src and build): has it been built?")
	endif()
	target_include_directories(plenum_opus INTERFACE ${OPUS_HEADERS})
	target_link_libraries(plenum_opus INTERFACE ${OPUS_FILE} m)
endif()

# The library itself is asked: headers have no version, and a .pc file may be another's.
set(OPUS_QUESTION [[
#include <opus/opus.h>
#include <stdio.h>
int main(void)
{
	float pcm[960] = { 0 };
	unsigned char packet[1275];
	int error = 0;
	OpusEncoder *e = opus_encoder_create(48000, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
	if (error != OPUS_OK || opus_encode_float(e, pcm, 960, packet, sizeof packet) <= 0 ||
		opus_encoder_ctl(e, OPUS_SET_PREDICTION_DISABLED(1)) != OPUS_OK)
		return 1;
	printf("%s;%d", opus_get_version_string(), opus_decoder_get_size(1) / 1024);
	opus_encoder_destroy(e);
	return 0;
}
]])
try_run(OPUS_ANSWERS OPUS_LINKS SOURCE_FROM_VAR opus_question.c OPUS_QUESTION NO_CACHE LINK_LIBRARIES plenum_opus
	COMPILE_OUTPUT_VARIABLE OPUS_LINK_OUTPUT RUN_OUTPUT_VARIABLE OPUS_ANSWER)
if(NOT OPUS_LINKS)
	plenum_opus_fail("a program with it cannot be built (a static library needs -fPIC where programs are position "
		"independent, and no -flto of another compiler):\n${OPUS_LINK_OUTPUT}")
elseif(NOT OPUS_ANSWERS STREQUAL "0" OR NOT OPUS_ANSWER MATCHES "^([^;]*);([0-9]+)$")
	plenum_opus_fail("a program with it cannot encode a frame (${OPUS_ANSWERS}) ${OPUS_ANSWER}")
endif()
set(OPUS_TEXT "${CMAKE_MATCH_1}")
set(OPUS_DECODER_KB "${CMAKE_MATCH_2}")
if(OPUS_TEXT MATCHES "-fixed")
	plenum_opus_fail("${OPUS_TEXT} computes in fixed point, and the mixer in float: build it without --enable-fixed-point.")
elseif(NOT OPUS_TEXT MATCHES "^libopus v?([0-9]+\\.[0-9]+(\\.[0-9]+)?)")
	message(WARNING "${OPUS_TEXT} does not tell its version (built of a copy without package_version?), so nobody knows whether "
		"it is ${PLENUM_OPUS_VERSION_MIN} or later.")
elseif(CMAKE_MATCH_1 VERSION_LESS PLENUM_OPUS_VERSION_MIN)
	plenum_opus_fail("${OPUS_TEXT} is too old. ${PLENUM_OPUS_VERSION_MIN} is the oldest that Plenum is tested with: its mixing relies "
		"on what copied encoders and frames without prediction do there.")
endif()
if(OPUS_DECODER_KB GREATER PLENUM_OPUS_DECODER_KB_MAX)
	set(OPUS_REMARK "${OPUS_TEXT} has deep PLC: a decoder takes ${OPUS_DECODER_KB} KB instead of some 18. A server is better off without "
		"(docs/opus.md).")
	# Debian 13's is such a one: nothing that somebody did wrong.
	if(PLENUM_OPUS STREQUAL "system")
		message(STATUS ${OPUS_REMARK})
	else()
		message(WARNING ${OPUS_REMARK})
	endif()
endif()
message(STATUS "libopus: ${OPUS_TEXT} (${PLENUM_OPUS}), ${OPUS_DECODER_KB} KB for a decoder")
