// Package approval keeps what waits for a person, what persons decided and which
// values they endorsed, in a database of its own.
//
// An ask is for one exact call: agent, session, requester, version of the tool,
// canonical arguments, label of the context and expiry are in its binding. It goes
// pending → granted → consumed, or ends denied or expired; each step is one
// compare-and-set in one transaction, recorded in the audit log before it commits, so
// that of two racing answers, and of two racing uses, one wins. What is not a listed
// operator's exact yes refuses: silence, a full queue, no surface, a restart between
// use and effect.
//
// Nothing here is reachable from a tool or a model. The card that a person sees is
// made from the canonical arguments, in full, with every hidden character shown.
package approval
