package class

import "daemonlab/specs/finding"

// Plain makes text of a submission's fit to be shown; see [finding.Plain].
func Plain(text string) string { return finding.Plain(text) }
