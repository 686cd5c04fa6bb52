package imagegen

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
)

const (
	// defaultAddress is where a server listens that was started without configuration.
	defaultAddress = "127.0.0.1:50051"
	// addressVariable names the server when the caller does not.
	addressVariable = "IMAGEGEN_ADDRESS"
)

var (
	// Any other scheme, a name server of one's own, or a list of addresses may lead anywhere.
	hostPattern = regexp.MustCompile(`^(?:(?:dns|ipv4|ipv6):(?:///)?)?(?:\[([^\]]+)\]|([^:/,]+))(?::[0-9]+)?$`)
	hostAlone   = regexp.MustCompile(`^(?:\[[^\]]*\]|[^:/,\[\]]+):?$`)
	urlPattern  = regexp.MustCompile(`^(?i:https?)://`)
)

// chooseAddress is where to connect: as given, else as the environment says, else the default.
func chooseAddress(given string) (string, error) {
	address := given
	if address == "" {
		address = os.Getenv(addressVariable)
	}
	if address == "" {
		address = defaultAddress
	}
	if urlPattern.MatchString(address) {
		return "", refused("address", "%q is a URL: the address is host:port, and WithTLS asks for TLS", address)
	}
	if lacksPort(address) {
		return "", refused("address",
			"%q has no port: the address is host:port, such as \"localhost:50051\" or \"[::1]:50051\"", address)
	}
	return address, nil
}

// lacksPort tells a host alone, for which gRPC would take port 443. Targets with a scheme are meant so.
func lacksPort(address string) bool {
	if hostAlone.MatchString(address) {
		return true
	}
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Is6()
}

// isLoopback tells whether what is sent to a gRPC target stays on this machine.
func isLoopback(address string) bool {
	if strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "unix-abstract:") {
		return true
	}
	found := hostPattern.FindStringSubmatch(address)
	if found == nil {
		return false
	}
	if found[2] == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(found[1] + found[2])
	return err == nil && ip.IsLoopback()
}
