package main

import (
	"sort"

	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
)

// node is a function in its place in the merged stacks.
type node struct {
	name        string
	total, self int64
	children    map[string]*node
}

func newNode(name string) *node { return &node{name: name, children: map[string]*node{}} }

func (n *node) add(stack []string, value int64) {
	n.total += value
	if len(stack) == 0 {
		n.self += value
		return
	}
	child := n.children[stack[0]]
	if child == nil {
		child = newNode(stack[0])
		n.children[stack[0]] = child
	}
	child.add(stack[1:], value)
}

// flameGraph lays the tree out in levels of (offset from the bar before, total, self, index of name).
func flameGraph(root *node) *querierv1.FlameGraph {
	graph := &querierv1.FlameGraph{Total: root.total}
	index := map[string]int64{}
	var ends []int64 // of the last bar, a level
	var place func(n *node, depth int, start int64)
	place = func(n *node, depth int, start int64) {
		if depth == len(graph.Levels) {
			graph.Levels = append(graph.Levels, &querierv1.Level{})
			ends = append(ends, 0)
		}
		if _, known := index[n.name]; !known {
			index[n.name] = int64(len(graph.Names))
			graph.Names = append(graph.Names, n.name)
		}
		level := graph.Levels[depth]
		level.Values = append(level.Values, start-ends[depth], n.total, n.self, index[n.name])
		ends[depth] = start + n.total
		graph.MaxSelf = max(graph.MaxSelf, n.self)
		names := make([]string, 0, len(n.children))
		for name := range n.children {
			names = append(names, name)
		}
		sort.Strings(names)
		start += n.self
		for _, name := range names {
			place(n.children[name], depth+1, start)
			start += n.children[name].total
		}
	}
	place(root, 0, 0)
	return graph
}
