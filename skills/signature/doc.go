// Package signature signs skills and verifies who signed them, with Sigstore bundles
// (media type v0.3): a DSSE envelope around an in-toto statement whose subject is the
// digest of the skill's OCI image manifest.
//
// A [Verifier] is built once, from the publishers that the operator trusts and the
// roots that they hang on, or not at all. Each publisher is a pinned P-256 key, or an
// identity that a Fulcio certified; [Class] says what each must bring along: a log
// entry, a time, the certificate's own log. What a bundle says about itself selects
// what is tried and proves nothing. Every refusal is a *[Refusal] with one stable
// reason, found from the phase that failed and from facts, never from the words of a
// library's error.
//
// Nothing here touches the network but [Sign] and [Update], over the transport that
// they are handed.
package signature
