package imagegen

// Version is that of this module; the user agent tells it to servers.
const Version = "0.1.0"
