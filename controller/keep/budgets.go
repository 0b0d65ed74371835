package keep

import "fmt"

// Budget is a row of the table that docs/security.md has.
type Budget struct{ What, Most, Legitimate string }

// ConsumerBudgets are the bounds of what is kept of an importing cluster, in bytes of memory as they are counted here.
func ConsumerBudgets() []Budget {
	mib := func(bytes int) string { return fmt.Sprintf("%d MiB", bytes>>20) }
	return []Budget{
		{"a ServiceImport", mib(MaxImport), "700 KiB, with 256 KiB of annotations, 1000 ports and the longest conditions"},
		{"ports that a person's ServiceImport lists", fmt.Sprintf("the first %d", MaxPorts), "a few"},
		{"all ServiceImports", mib(MaxImports), "300 MiB, 5,000 names that 200 clusters export"},
		{"an imported EndpointSlice", mib(MaxImported), "2 MiB, what 1 MiB in etcd takes"},
		{"all imported EndpointSlices", mib(MaxImportedSlices), "300 MiB, 200,000 slices of 5 endpoints"},
		{"a derived Service", fmt.Sprintf("%d KiB as protocol buffers, %d ports", MaxDerived>>10, MaxPorts), fmt.Sprintf("400 KiB, %d ports", MaxPorts)},
		{"all Services, together with those that it exports", mib(MaxServices), "30 MiB, 20,000 Services"},
		{"all namespaces", mib(MaxNamespaces), "6 MiB, 10,000 namespaces"},
		{"addresses of a node", fmt.Sprint(MaxNodeAddresses), "a few, of each family"},
		{"all nodes", mib(MaxNodes), "12 MiB, 15,000 nodes"},
	}
}
