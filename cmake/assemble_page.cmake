# Makes one C++ header of the viewer page; run with `cmake -P` whenever one of its sources changes.
#
#   cmake -DHTML=page.html -DCSS=page.css -DLOADER=loader.js "-DJS=a.js;b.js" -DOUT=view_page.h -P assemble_page.cmake
#
# The page's own style and scripts go inline, and their SHA-256 into its Content-Security-Policy, so that nothing else can
# run in it wherever it is opened. The script is compressed, which keeps a saved page small; the loader unpacks it, and the
# policy has the hash of both. The data comes later, between kPageHead and kPageTail.

cmake_minimum_required(VERSION 3.25)

# Hexadecimal digits to base64, as a policy wants hashes.
function(hex_to_base64 hex result)
  set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  string(LENGTH "${hex}" digits)
  math(EXPR missing "(6 - ${digits} % 6) % 6")  # digits that the last group of three bytes lacks
  string(SUBSTRING "0000" 0 ${missing} zeros)
  set(text "")
  foreach(byte RANGE 0 ${digits} 6)
    string(SUBSTRING "${hex}${zeros}" ${byte} 6 group)
    string(LENGTH "${group}" length)
    if(length EQUAL 6)
      foreach(shift IN ITEMS 18 12 6 0)
        math(EXPR index "(0x${group} >> ${shift}) & 63")
        string(SUBSTRING ${alphabet} ${index} 1 character)
        string(APPEND text ${character})
      endforeach()
    endif()
  endforeach()
  math(EXPR padding "${missing} / 2")
  string(LENGTH "${text}" length)
  math(EXPR kept "${length} - ${padding}")
  string(SUBSTRING "${text}" 0 ${kept} text)
  string(SUBSTRING "==" 0 ${padding} equals)
  set(${result} "${text}${equals}" PARENT_SCOPE)
endfunction()

# Lines without indentation and comments of their own.
function(read_tight file result)
  file(READ ${file} text)
  string(REGEX REPLACE "\n[ \t]+" "\n" text "\n${text}")
  string(REGEX REPLACE "\n//[^\n]*" "" text "${text}")
  string(REGEX REPLACE "\n\n+" "\n" text "${text}")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# The gzip bytes of `text` in base64; the same for the same text at any time.
function(compress text result)
  file(WRITE ${OUT}.script "${text}")
  file(ARCHIVE_CREATE OUTPUT ${OUT}.script.gz PATHS ${OUT}.script FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
  file(READ ${OUT}.script.gz hex HEX)
  string(SUBSTRING ${hex} 0 8 magic)
  string(SUBSTRING ${hex} 16 -1 rest)
  hex_to_base64(${magic}00000000${rest} base64)  # without the time of compression
  set(${result} ${base64} PARENT_SCOPE)
endfunction()

file(READ ${HTML} html)
read_tight(${CSS} style)
set(script "'use strict';(() => {")
foreach(file IN LISTS JS)
  read_tight(${file} text)
  string(APPEND script "${text}")
endforeach()
string(APPEND script "})();\n")
read_tight(${LOADER} loader)
foreach(part IN ITEMS style script loader)
  string(SHA256 hash "${${part}}")
  hex_to_base64(${hash} ${part}_hash)
endforeach()
compress("${script}" packed)
set(policy "default-src 'none'; script-src 'sha256-${loader_hash}' 'sha256-${script_hash}'; style-src 'sha256-${style_hash}'; \
connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'")
string(REPLACE "@POLICY@" "${policy}" html "${html}")
string(REPLACE "@STYLE@" "${style}" html "${html}")
string(REPLACE "@LOADER@" "${loader}" html "${html}")
string(REPLACE "@PACKED@" "${packed}" html "${html}")
string(FIND "${html}" "@DATA@" at)
string(SUBSTRING "${html}" 0 ${at} head)
math(EXPR at "${at} + 6")
string(SUBSTRING "${html}" ${at} -1 tail)
if("${html}" MATCHES "\\)page\"")
  message(FATAL_ERROR "the page holds the end of the literal that it is put into")
endif()

file(WRITE ${OUT}.new "// Made by cmake/assemble_page.cmake from src/pprof_http/view: the viewer page, for the routes and for otel-profiling-view.
#pragma once

#include <string_view>

namespace pprof_http::view {

// A page is kPageHead, a spans document in JSON without any '<' (as \\u003c), and kPageTail. With nothing between them the page
// asks the server that it came from.
inline constexpr std::string_view kPageHead = R\"page(${head})page\";
inline constexpr std::string_view kPageTail = R\"page(${tail})page\";

// The same policy as in the page, for the answer's header.
inline constexpr std::string_view kPagePolicy = R\"page(${policy})page\";

}  // namespace pprof_http::view
")
file(COPY_FILE ${OUT}.new ${OUT} ONLY_IF_DIFFERENT)
file(TOUCH ${OUT})
