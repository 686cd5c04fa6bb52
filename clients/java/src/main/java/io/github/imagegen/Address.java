package io.github.imagegen;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;
import java.util.regex.Pattern;

/** Where a server is: what may stand in an address, and whether it is this machine. */
final class Address {
  /** Where a server listens that was started without configuration. */
  static final String DEFAULT = "127.0.0.1:50051";

  /** The environment variable that names the server when the caller does not. */
  static final String VARIABLE = "IMAGEGEN_ADDRESS";

  // Any other scheme may lead anywhere, and so may a list of addresses.
  private static final Pattern HOST =
      Pattern.compile(
          "(?:(?:dns|ipv4|ipv6):(?://[^/]*/)?)?(?:\\[(?<v6>[^\\]]+)\\]|(?<name>[^:/,]+))(?::\\d+)?");
  private static final Pattern HOST_ALONE = Pattern.compile("(?:\\[[^\\]]*\\]|[^:/,\\[\\]]+):?");
  private static final Pattern BARE_IPV6 =
      Pattern.compile("[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%\\w+)?");
  private static final String OCTET = "(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)";
  private static final Pattern LOOPBACK_IPV4 =
      Pattern.compile("127\\." + OCTET + "\\." + OCTET + "\\." + OCTET);

  private Address() {}

  /** The address itself, or that of the environment, or the default; refused if it is none. */
  static String resolve(String given, String ofEnvironment) {
    String address = given;
    if (address == null || address.isEmpty()) {
      address = ofEnvironment == null || ofEnvironment.isEmpty() ? DEFAULT : ofEnvironment;
    }
    String lower = address.toLowerCase(Locale.ROOT);
    if (lower.startsWith("http://") || lower.startsWith("https://")) {
      throw new IllegalArgumentException(
          "the address is host:port, not a URL: '" + address + "'; TLS is asked for with tls()");
    }
    if (HOST_ALONE.matcher(address).matches() || BARE_IPV6.matcher(address).matches()) {
      throw new IllegalArgumentException(
          "'"
              + address
              + "' has no port: the address is host:port, such as 'localhost:50051' or"
              + " '[::1]:50051'");
    }
    return address;
  }

  /** Whether what is sent to a gRPC target stays on this machine. Asks no name server. */
  static boolean isLoopback(String address) {
    if (address.startsWith("unix:") || address.startsWith("unix-abstract:")) {
      return true;
    }
    var found = HOST.matcher(address);
    if (!found.matches()) {
      return false;
    }
    String v6 = found.group("v6");
    if (v6 == null) {
      String name = found.group("name");
      return name.equals("localhost") || LOOPBACK_IPV4.matcher(name).matches();
    }
    try {
      // With a colon in it this is a literal or an error, never a name to look up.
      return v6.contains(":") && InetAddress.getByName(v6).isLoopbackAddress();
    } catch (UnknownHostException none) {
      return false;
    }
  }
}
