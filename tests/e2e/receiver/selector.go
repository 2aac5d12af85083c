package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// matcher is one condition of a selector such as {service_name="a",span_name=~"GET .*"}.
type matcher struct {
	name   string
	negate bool
	match  func(string) bool
}

var matcherText = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|[^\s=!~{},"]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*(?:,|$)`)

func parseSelector(text string) ([]matcher, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") || !strings.HasSuffix(text, "}") {
		return nil, fmt.Errorf("selector %q has no braces", text)
	}
	var matchers []matcher
	for rest := text[1 : len(text)-1]; strings.TrimSpace(rest) != ""; {
		parts := matcherText.FindStringSubmatch(rest)
		if parts == nil {
			return nil, fmt.Errorf("selector %q: cannot read %q", text, rest)
		}
		m, err := newMatcher(parts[1], parts[2], parts[3])
		if err != nil {
			return nil, err
		}
		matchers = append(matchers, m)
		rest = rest[len(parts[0]):]
	}
	return matchers, nil
}

func newMatcher(name, operator, quoted string) (matcher, error) {
	if strings.HasPrefix(name, `"`) {
		plain, err := strconv.Unquote(name)
		if err != nil {
			return matcher{}, err
		}
		name = plain
	}
	value, err := strconv.Unquote(quoted)
	if err != nil {
		return matcher{}, err
	}
	m := matcher{name: name, negate: strings.HasPrefix(operator, "!"), match: func(s string) bool { return s == value }}
	if strings.HasSuffix(operator, "~") {
		pattern, err := regexp.Compile("^(?:" + value + ")$")
		if err != nil {
			return matcher{}, err
		}
		m.match = pattern.MatchString
	}
	return m, nil
}

// selects is true when every condition holds; a missing label is an empty one.
func selects(matchers []matcher, labels map[string]string) bool {
	for _, m := range matchers {
		if m.match(labels[m.name]) == m.negate {
			return false
		}
	}
	return true
}
