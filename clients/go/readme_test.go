package imagegen_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	goBlock     = regexp.MustCompile("(?s)```go\n(.*?)```")
	indentation = regexp.MustCompile(`(?m)^\s+`)
)

// Every piece of Go in README.md stands, word for word, in a sample or an example, and so compiles.
func TestReadmeCompiles(t *testing.T) {
	var compiled strings.Builder
	samples, err := filepath.Glob("examples/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(samples, "example_test.go") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		compiled.WriteString(indentation.ReplaceAllString(string(text), ""))
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 8 {
		t.Fatalf("%d pieces of Go", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(compiled.String(), indentation.ReplaceAllString(block[1], "")) {
			t.Errorf("this is compiled nowhere:\n%s", block[1])
		}
	}
}
