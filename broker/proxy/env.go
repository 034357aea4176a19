package proxy

// RelayAddr is where the relay in a box listens for programs that know of proxies.
const RelayAddr = "127.0.0.1:3128"

// Environment returns the variables, as NAME=VALUE, that let the programs in a box find
// the relay and trust the authority of the box, whose certificate lies at ca there, and
// nobody else where they can be told so. A program that ignores them has no way out.
func Environment(ca string) []string {
	env := []string{
		"NO_PROXY=", "no_proxy=", "NODE_USE_ENV_PROXY=1",
		"SSL_CERT_DIR=/var/empty", // Go and OpenSSL would read the system's besides
		"JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128 -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128 -Dhttp.nonProxyHosts=",
	}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		env = append(env, name+"=http://"+RelayAddr)
	}
	for _, name := range []string{
		"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
		"GIT_SSL_CAINFO", "PIP_CERT", "npm_config_cafile", "CARGO_HTTP_CAINFO", "DENO_CERT", "AWS_CA_BUNDLE",
	} {
		env = append(env, name+"="+ca)
	}
	return env
}
