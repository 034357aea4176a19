// Package signature signs skills and verifies who signed them, by Sigstore bundles.
package signature
