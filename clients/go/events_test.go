package imagegen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

const chunkBytes = 1000

// picture is bytes that stand for an image.
func picture(size int, salt byte) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*7>>3) ^ byte(i>>9) ^ salt
	}
	return data
}

func facts(data []byte) *pb.Image {
	digest := sha256.Sum256(data)
	return &pb.Image{
		ImageId: fmt.Sprintf("img_%d", len(data)), MediaType: "image/png",
		SizeBytes: uint32(len(data)), Sha256: hex.EncodeToString(digest[:]),
	}
}

func started() *pb.ImageStreamEvent {
	return &pb.ImageStreamEvent{Sequence: 1, Event: &pb.ImageStreamEvent_Started{
		Started: &pb.GenerationStarted{GenerationId: "gen_1", RequestId: "req_1", Model: scene},
	}}
}

func news() *pb.ImageStreamEvent {
	return &pb.ImageStreamEvent{Event: &pb.ImageStreamEvent_Progress{Progress: &pb.Progress{Phase: pb.Phase_PHASE_GENERATING}}}
}

func failed(index uint32) *pb.ImageStreamEvent {
	return &pb.ImageStreamEvent{Event: &pb.ImageStreamEvent_Failure{Failure: &pb.ImageFailure{Index: index}}}
}

func opened(index uint32, data []byte) *pb.ImageStreamEvent {
	return &pb.ImageStreamEvent{Event: &pb.ImageStreamEvent_Complete{
		Complete: &pb.GeneratedImage{Index: index, Image: facts(data)},
	}}
}

func previewed(number uint32, data []byte) *pb.ImageStreamEvent {
	return &pb.ImageStreamEvent{Event: &pb.ImageStreamEvent_Preview{
		Preview: &pb.ImagePreview{Number: number, Image: &pb.Image{MediaType: "image/png", SizeBytes: uint32(len(data))}},
	}}
}

func chunk(index, number uint32, offset int, data []byte) *pb.ImageStreamEvent {
	return &pb.ImageStreamEvent{Event: &pb.ImageStreamEvent_Chunk{
		Chunk: &pb.ImageChunk{Index: index, PreviewNumber: number, Offset: uint32(offset), Data: data},
	}}
}

func chunked(index, number uint32, data []byte, size int) (events []*pb.ImageStreamEvent) {
	for offset := 0; offset < len(data); offset += size {
		events = append(events, chunk(index, number, offset, data[offset:min(len(data), offset+size)]))
	}
	return events
}

func completed(index uint32, data []byte) []*pb.ImageStreamEvent {
	return append([]*pb.ImageStreamEvent{opened(index, data)}, chunked(index, 0, data, chunkBytes)...)
}

func previews(number uint32, data []byte) []*pb.ImageStreamEvent {
	return append([]*pb.ImageStreamEvent{previewed(number, data)}, chunked(0, number, data, chunkBytes)...)
}

func resulted(images ...[]byte) *pb.ImageStreamEvent {
	result := &pb.ImageResult{GenerationId: "gen_1", RequestId: "req_1", Model: scene}
	for index, data := range images {
		result.Images = append(result.Images, &pb.GeneratedImage{Index: uint32(index), Image: facts(data)})
	}
	return &pb.ImageStreamEvent{Event: &pb.ImageStreamEvent_Result{Result: result}}
}

func together(parts ...[]*pb.ImageStreamEvent) (events []*pb.ImageStreamEvent) {
	for _, part := range parts {
		events = append(events, part...)
	}
	return events
}

func one(event *pb.ImageStreamEvent) []*pb.ImageStreamEvent { return []*pb.ImageStreamEvent{event} }
