#!/bin/sh
# Builds every kind of debug information that the symbolizer reads from fixture.cc.
# build_fixtures.sh OUT GXX CLANGXX
#
# They are the same for every build of this repository, so one folder may serve them all: what is there
# already, of these sources and compilers, is left as it is.
set -eu
source=$(cd "$(dirname "$0")" && pwd)/fixture.cc
out=$1 gxx=$2 clangxx=$3
made_of=$(cat "$0" "$source" | cksum; "$gxx" --version; "$clangxx" --version)
[ "$(cat "$out/made_of" 2>/dev/null)" = "$made_of" ] && exit
rm -rf "$out"
mkdir -p "$out/root/.build-id" "$out/multi"
cd "$out"
flags="-std=c++17 -O2 -g -Wl,--build-id"
$gxx $flags -gdwarf-5 "$source" -o gcc5
$gxx $flags -gdwarf-4 "$source" -o gcc4
$clangxx $flags -gdwarf-5 "$source" -o clang5
$clangxx $flags -gdwarf-4 "$source" -o clang4
$gxx -std=c++17 -O2 -g -Wl,--build-id=none "$source" -o noid
objcopy --compress-debug-sections=zlib-gabi gcc5 zlib
objcopy --compress-debug-sections=zlib-gnu gcc4 zdebug
objcopy --compress-debug-sections=zstd gcc5 zstd
# Functions in .dwo files: where the compiler ran, beside the program, gone, of another program.
split() { # FOLDER COMPILER VERSION
  mkdir -p "$1" && (cd "$1" && "$2" $flags -gsplit-dwarf "-gdwarf-$3" "$source" -o program)
}
split split/gcc5 $gxx 5
split split/gcc4 $gxx 4
split split/clang5 $clangxx 5
split split/built $gxx 5
mkdir -p split/beside split/gone split/wrong
mv split/built/program split/built/*.dwo split/beside
cp split/beside/program split/gone
cp split/beside/program split/wrong
dwo=$(cd split/beside && echo *.dwo)
cp split/gcc4/*.dwo "split/wrong/$dwo"
cp gcc5 dwz && dwz dwz
cp gcc4 multi/first && cp gcc5 multi/second && (cd multi && dwz -m shared first second)
strip -o stripped gcc5
objcopy --only-keep-debug gcc5 gcc5.debug
# Found by name and build id; found by name and checksum; found by build id alone.
objcopy --add-gnu-debuglink=gcc5.debug stripped linked
objcopy --only-keep-debug noid noid.debug
strip -o noid_stripped noid && objcopy --add-gnu-debuglink=noid.debug noid_stripped crc
cp crc wrong_crc && mkdir -p wrong && mv wrong_crc wrong/crc && cp gcc5.debug wrong/noid.debug
id=$(readelf -n gcc5 | sed -n 's/.*Build ID: //p')
mkdir -p "root/.build-id/$(echo "$id" | cut -c1-2)"
cp gcc5.debug "root/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-).debug"
nm -f posix --defined-only gcc5 | awk '$2 == "T" || $2 == "t" { print $1 }' | sort -u > keep
objcopy -S --remove-section .comment --keep-symbols=keep gcc5.debug mini_symbols
xz -k mini_symbols
objcopy --add-section .gnu_debugdata=mini_symbols.xz stripped mini
printf '%s\n' "$made_of" >made_of  # last: whatever was cut off is built again
