package imagegen

import (
	"context"
	"testing"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// A client that is told to takes the servers behind a name in turns, as docs/scaling.md says.
func TestRoundRobin(t *testing.T) {
	names := manual.NewBuilderWithScheme("names")
	var servers []*fake
	var addresses []resolver.Address
	for range 2 {
		server := serve(t)
		server.list = func(*pb.ListModelsRequest) (*pb.ListModelsResponse, error) { return &pb.ListModelsResponse{}, nil }
		servers = append(servers, server)
		addresses = append(addresses, resolver.Address{Addr: server.address})
	}
	names.InitialState(resolver.State{Addresses: addresses})
	client, err := NewClient("names:///images.internal", WithDialOptions(
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithResolvers(names),
	))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()

	count := func(server *fake) int {
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.calls)
	}
	list := func() {
		if _, err := client.ModelService().ListModels(ctx, &pb.ListModelsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	for count(servers[0]) == 0 || count(servers[1]) == 0 { // the second connection takes a moment
		list()
	}
	before := [2]int{count(servers[0]), count(servers[1])}
	for range 10 {
		list()
	}
	for i, server := range servers {
		if got := count(server) - before[i]; got != 5 {
			t.Errorf("server %d had %d of 10 calls", i, got)
		}
	}
}
