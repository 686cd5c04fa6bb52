// Package imagegen is the Go client of imagegen: one typed API in front of every image model.
//
// [NewClient] connects, [Client.Image] binds a model, and the model draws and edits:
//
//	client, err := imagegen.NewClient("127.0.0.1:50051")
//	...
//	result, err := client.Image("sandbox/scene").Generate(ctx, "a harbour at dawn")
//
// [Model.Stream] tells and shows how it goes. Every failed call is an [*Error]; what this package sees to be wrong
// before anything is sent is a [*RefusedError].
//
// Messages that are good values as they are (options, progress, warnings, usage, attempts, failures, models and their
// capabilities, planned calls) are those of the generated package imagegen/v1, imagegenv1. They are handed out as they
// came: do not change them.
//
// All types of this package may be used by several goroutines at once.
package imagegen
