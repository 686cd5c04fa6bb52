package imagegen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func wantRefusal(t *testing.T, err error, field string) {
	t.Helper()
	var refusal *RefusedError
	if !errors.As(err, &refusal) || refusal.Field != field {
		t.Fatalf("a refusal of %s was due, and this came: %v", field, err)
	}
}

// What is sent to these stays on this machine.
func TestLoopbackAddresses(t *testing.T) {
	for _, address := range []string{"localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "dns:///localhost:1", "dns:localhost:1", "unix:/run/x", "unix-abstract:x"} {
		if !isLoopback(address) {
			t.Error(address)
		}
	}
}

// What is sent to these may be seen by others; in doubt it is.
func TestAddressesElsewhere(t *testing.T) {
	for _, address := range []string{"example.com:1", "10.0.0.1:1", "[2001:db8::1]:1", "localhost.example.com:1", "dns://8.8.8.8/localhost:1", "127.0.0.1.example.com:1", "passthrough:///127.0.0.1:1", "127.0.0.1:1,10.0.0.1:1", "", "0.0.0.0:1"} {
		if isLoopback(address) {
			t.Error(address)
		}
	}
}

// The order is argument, environment, default; URLs and hosts without a port are refused before anything is sent.
func TestAddress(t *testing.T) {
	t.Setenv(addressVariable, "")
	if address := must(chooseAddress(""))(t); address != "127.0.0.1:50051" {
		t.Fatal(address)
	}
	t.Setenv(addressVariable, "a:1")
	if address := must(chooseAddress(""))(t); address != "a:1" {
		t.Fatal(address)
	}
	if address := must(chooseAddress("b:2"))(t); address != "b:2" {
		t.Fatal(address)
	}
	for _, address := range []string{"http://a:1", "https://a", "HTTP://a:1", "a", "a:", "[::1]", "::1", "fe80::1", "10.0.0.1"} {
		_, err := NewClient(address)
		wantRefusal(t, err, "address")
	}
	for _, address := range []string{"unix:/run/x", "dns:///a", "passthrough:///a:1"} {
		_ = must(NewClient(address))(t).Close()
	}
}

// A token is never sent in clear text over a network, and no error shows it.
func TestTokenNeedsTLSBeyondThisMachine(t *testing.T) {
	_, err := NewClient("example.com:1", WithToken("secret"))
	wantRefusal(t, err, "token")
	if strings.Contains(err.Error(), "secret") {
		t.Fatal(err)
	}
	_ = must(NewClient("example.com:1", WithToken("secret"), WithTLS(nil)))(t).Close()
}

// A token that no header can carry, such as one with the line break of its file, is refused, and not shown.
func TestTokenThatCannotBeSent(t *testing.T) {
	for _, token := range []string{"secret\n", "secret\r\nx: y", "s\x00", "schlüssel"} {
		_, err := NewClient("127.0.0.1:1", WithToken(token))
		wantRefusal(t, err, "token")
		if strings.Contains(err.Error(), token) {
			t.Fatal(err)
		}
	}
}

// The token goes with every call, also those on the stubs, and the user agent too; without a token nothing is said of one.
func TestTokenGoesWithEveryCall(t *testing.T) {
	server := serve(t)
	server.get = func(*pb.GetModelRequest) (*pb.GetModelResponse, error) { return &pb.GetModelResponse{}, nil }
	server.stream = sends(simple...)
	client := server.connect(t, WithToken("secret"))
	must(client.Image(scene).Generate(t.Context(), "a cat"))(t)
	must(client.ModelService().GetModel(t.Context(), &pb.GetModelRequest{}))(t)
	must(server.connect(t).Model(t.Context(), scene))(t)
	var tokens, agents []string
	for _, made := range server.calls {
		tokens = append(tokens, strings.Join(made.metadata.Get("authorization"), ","))
		agents = append(agents, made.metadata.Get("user-agent")...)
	}
	if !slices.Equal(tokens, []string{"Bearer secret", "Bearer secret", ""}) || !strings.HasPrefix(agents[0], "imagegen-go/"+Version+" ") {
		t.Fatal(tokens, agents)
	}
}

// The retry policy names the methods that may be called twice, and none that costs money.
func TestOnlyFreeMethodsAreRetried(t *testing.T) {
	var config struct {
		MethodConfig []struct {
			Name        []struct{ Service, Method string }
			RetryPolicy struct{ MaxAttempts int }
		}
	}
	if err := json.Unmarshal([]byte(serviceConfig()), &config); err != nil || len(config.MethodConfig) != 1 {
		t.Fatal(err, config)
	}
	var names []string
	for _, name := range config.MethodConfig[0].Name {
		names = append(names, strings.TrimPrefix(name.Service, "imagegen.v1.")+"/"+name.Method)
	}
	wanted := []string{
		"ImageService/Resume", "ImageService/Cancel", "ImageService/ReadImage", "ImageService/UploadImage",
		"ImageService/Explain", "ModelService/ListModels", "ModelService/GetModel",
	}
	if !slices.Equal(names, wanted) || config.MethodConfig[0].RetryPolicy.MaxAttempts != 4 {
		t.Fatal(config)
	}
}

// UNAVAILABLE is answered with another try of what is free, and never of what may cost money.
func TestUnavailable(t *testing.T) {
	server := serve(t)
	tries := 0
	server.get = func(*pb.GetModelRequest) (*pb.GetModelResponse, error) {
		if tries++; tries < 2 {
			return nil, status.Error(codes.Unavailable, "not now")
		}
		return &pb.GetModelResponse{Model: &pb.Model{Name: scene}}, nil
	}
	server.stream = func(proto.Message, out) error { return status.Error(codes.Unavailable, "not now") }
	client := server.connect(t)
	if model := must(client.Model(t.Context(), scene))(t); model.GetName() != scene || tries != 2 {
		t.Fatal(model, tries)
	}
	_, err := client.Image(scene).Generate(t.Context(), "a cat")
	wantReason(t, err, "NETWORK_ERROR")
	if calls := len(server.called("StreamGenerate")); calls != 1 {
		t.Fatal(calls)
	}
}

// So is what is free and large, such as a piece of an upload.
func TestUnavailableForLargeMessages(t *testing.T) {
	server := serve(t)
	tries := 0
	data := picture(pieceBytes, 1)
	server.upload = func(request *pb.UploadImageRequest) (*pb.UploadImageResponse, error) {
		if len(request.GetData()) == 0 {
			return &pb.UploadImageResponse{}, nil
		}
		if tries++; tries < 2 {
			return nil, reasoned(codes.Unavailable, "ERROR_REASON_SHUTTING_DOWN", "no")
		}
		return &pb.UploadImageResponse{CommittedBytes: pieceBytes, Image: facts(data)}, nil
	}
	must(server.connect(t).Upload(t.Context(), must(ImageFromBytes(data, ""))(t)))(t)
	if tries != 2 {
		t.Fatal(tries)
	}
}

// A call after the end is refused; closing twice is fine.
func TestClosedClient(t *testing.T) {
	client := serve(t).connect(t)
	for range 2 {
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.Image(scene).Generate(t.Context(), "a cat")
	wantRefusal(t, err, "client")
	_, err = client.Model(t.Context(), scene)
	wantRefusal(t, err, "client")
	_, err = client.Cancel(t.Context(), GenerationID("gen_1"))
	wantRefusal(t, err, "client")
}

// With roots and a certificate of its own a client speaks TLS and sends its token; without trust it does not connect.
func TestTLS(t *testing.T) {
	certificate, roots := selfSigned(t)
	server := serve(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	})))
	server.get = func(*pb.GetModelRequest) (*pb.GetModelResponse, error) { return &pb.GetModelResponse{}, nil }
	trusting := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}}
	must(server.connect(t, WithTLS(trusting), WithToken("secret")).Model(t.Context(), scene))(t)
	if token := server.called("GetModel")[0].metadata.Get("authorization"); !slices.Equal(token, []string{"Bearer secret"}) {
		t.Fatal(token)
	}
	_, err := server.connect(t, WithTLS(nil)).Image(scene).Generate(t.Context(), "a cat")
	wantReason(t, err, "NETWORK_ERROR")
	if failure := asError(t, err); failure.Billed != billedNo || !strings.Contains(failure.Message, "certificate") {
		t.Fatal(failure)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	roots := x509.NewCertPool()
	roots.AddCert(must(x509.ParseCertificate(der))(t))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// A proxy of the environment is not used for loopback. (Go itself leaves it out for names of loopback only where it is
// asked; the client asks in any case.)
func TestNoProxyOnLoopback(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	server := serve(t)
	server.get = func(*pb.GetModelRequest) (*pb.GetModelResponse, error) { return &pb.GetModelResponse{}, nil }
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(server.connect(t).Model(ctx, scene))(t)
}
