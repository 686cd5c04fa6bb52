// Command driver does the steps of the conformance suite, one line of protobuf JSON each, with the Go client.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
	conformancev1 "github.com/imagegen/imagegen/tests/conformance/go/conformance/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 256<<20)
	for lines.Scan() {
		text, err := protojson.Marshal(outcome(lines.Bytes()))
		if err != nil {
			text = fmt.Appendf(nil, `{"unsupported": %q}`, err.Error())
		}
		if _, err := os.Stdout.Write(append(text, '\n')); err != nil {
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}

func outcome(line []byte) *conformancev1.Outcome {
	step := &conformancev1.Step{}
	if err := protojson.Unmarshal(line, step); err != nil {
		return &conformancev1.Outcome{Unsupported: err.Error()}
	}
	switch step.GetFace() {
	case conformancev1.Face_FACE_HELPER:
		return withHelper(step)
	case conformancev1.Face_FACE_PLAIN:
		return withStubs(step)
	}
	return &conformancev1.Outcome{Unsupported: fmt.Sprintf("face %v", step.GetFace())}
}

func unsupported(step *conformancev1.Step) *conformancev1.Outcome {
	return &conformancev1.Outcome{Unsupported: fmt.Sprintf("%T with %v", step.GetOperation(), step.GetFace())}
}

// limited is a context with the step's time limit.
func limited(step *conformancev1.Step) (context.Context, context.CancelFunc) {
	if step.GetTimeoutMs() == 0 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), time.Duration(step.GetTimeoutMs())*time.Millisecond)
}

// describe tells of bytes in hand; none have no SHA-256.
func describe(made *imagegenv1.GeneratedImage, previewNumber uint32, data []byte) *conformancev1.Picture {
	picture := &conformancev1.Picture{
		Index:         made.GetIndex(),
		PreviewNumber: previewNumber,
		MediaType:     made.GetImage().GetMediaType(),
		SizeBytes:     uint32(len(data)),
		Made:          withoutData(made),
	}
	if len(data) > 0 {
		digest := sha256.Sum256(data)
		picture.Sha256 = hex.EncodeToString(digest[:])
	}
	return picture
}

func withoutData(made *imagegenv1.GeneratedImage) *imagegenv1.GeneratedImage {
	if len(made.GetImage().GetData()) == 0 {
		return made
	}
	data := made.Image.Data
	made.Image.Data = nil
	bare := proto.CloneOf(made)
	made.Image.Data = data
	return bare
}

var billedWords = map[imagegenv1.Billed]string{
	imagegenv1.Billed_BILLED_NO:      "no",
	imagegenv1.Billed_BILLED_UNKNOWN: "unknown",
	imagegenv1.Billed_BILLED_YES:     "yes",
}
