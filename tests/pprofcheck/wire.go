package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// gunzip returns what is inside a gzip file, or data itself when it is none.
func gunzip(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

const stringTableField = 6

// stringTable takes the strings out of the message itself: the library forgets those that nothing
// refers to, but receivers check them too.
func stringTable(raw []byte) ([]string, error) {
	errShort := errors.New("message ends inside a field")
	var table []string
	for len(raw) > 0 {
		tag, n := binary.Uvarint(raw)
		if n <= 0 {
			return nil, errShort
		}
		raw = raw[n:]
		size := uint64(0)
		switch tag & 7 {
		case 0:
			if _, n = binary.Uvarint(raw); n <= 0 {
				return nil, errShort
			}
			size = uint64(n)
		case 1:
			size = 8
		case 2:
			if size, n = binary.Uvarint(raw); n <= 0 {
				return nil, errShort
			}
			raw = raw[n:]
		case 5:
			size = 4
		default:
			return nil, fmt.Errorf("wire type %d", tag&7)
		}
		if size > uint64(len(raw)) {
			return nil, errShort
		}
		if tag == stringTableField<<3|2 {
			table = append(table, string(raw[:size]))
		}
		raw = raw[size:]
	}
	return table, nil
}

// checkStrings: valid UTF-8, the empty string first, none twice (receivers look keys up by their
// first occurrence).
func checkStrings(raw []byte, report func(format string, args ...any)) {
	table, err := stringTable(raw)
	if err != nil {
		report("string table: %v", err)
		return
	}
	if len(table) == 0 || table[0] != "" {
		report("string_table[0] is not empty")
	}
	seen := make(map[string]bool, len(table))
	for i, text := range table {
		if !utf8.ValidString(text) {
			report("string_table[%d] %q is not UTF-8", i, text)
		}
		if seen[text] {
			report("string_table[%d] %q is there twice", i, text)
		}
		seen[text] = true
	}
}
