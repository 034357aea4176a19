// Package install decides whether a skill may be loaded, and keeps the skills that the
// operator installed.
//
// Gate is the decision: a signature by a publisher who may sign a skill of that name,
// over exactly these files; signed facts that are those of the manifest; a list of
// dependencies on which module and document agree; advisories by the operator's policy;
// no revocation. It ends in an Admission or in a *Refusal with one Reason. The same
// decision is made at installation and at every load.
//
// Store holds STATE/skills/NAME/HEX, one folder for each version, and STATE/skills.lock,
// which says which one counts. Replacing the lock is the moment at which a version
// comes into use: a process that is killed before leaves the old one, one that is killed
// after leaves the new one.
package install
