package accept

// Field is one entry of the table, for tests and for people.
type Field struct {
	// Path is the kind and the path of the field in it, such as "EndpointSlice ports[].port".
	Path string
	// Readers says what the rule was made for.
	Readers string
	// Taken says whether the field is copied where it is acceptable, or looked at to make others.
	Taken bool
}

// Fields returns the whole table, in the order in which the rules apply.
func Fields() []Field {
	var list []Field
	list = fields(list, "EndpointSlice ", sliceRules)
	list = fields(list, "EndpointSlice endpoints[].", endpointRules)
	list = fields(list, "EndpointSlice ports[].", endpointPortRules)
	list = fields(list, "Service ", serviceRules)
	return fields(list, "Service spec.ports[].", servicePortRules)
}

func fields[T any](list []Field, prefix string, rules []rule[T]) []Field {
	for i := range rules {
		list = append(list, Field{prefix + rules[i].field, rules[i].readers, rules[i].take != nil})
	}
	return list
}

// Made says of each field of the objects that are written into the importing cluster what it is made of: the fields of the
// table that go into it, or in words, after "ours" or "never", that nothing of another cluster does.
var Made = map[string][]string{
	"EndpointSlice metadata":                           {"ours: name, labels and owner, the rank of the cluster"},
	"EndpointSlice addressType":                        {"EndpointSlice addressType"},
	"EndpointSlice endpoints[].addresses[]":            {"EndpointSlice endpoints[].addresses[]"},
	"EndpointSlice endpoints[].conditions.ready":       {"EndpointSlice endpoints[].conditions.ready"},
	"EndpointSlice endpoints[].conditions.serving":     {"EndpointSlice endpoints[].conditions.serving"},
	"EndpointSlice endpoints[].conditions.terminating": {"EndpointSlice endpoints[].conditions.terminating"},
	"EndpointSlice endpoints[].hostname":               {"EndpointSlice endpoints[].hostname"},
	"EndpointSlice endpoints[].targetRef":              {"never"},
	"EndpointSlice endpoints[].deprecatedTopology":     {"never"},
	"EndpointSlice endpoints[].nodeName":               {"EndpointSlice endpoints[].nodeName"},
	"EndpointSlice endpoints[].zone":                   {"EndpointSlice endpoints[].zone"},
	"EndpointSlice endpoints[].hints.forZones[].name":  {"EndpointSlice endpoints[].zone", "Service spec.trafficDistribution"},
	"EndpointSlice endpoints[].hints.forNodes":         {"never"},
	"EndpointSlice ports[].name":                       {"EndpointSlice ports[].name", "Service spec.ports[].name"},
	"EndpointSlice ports[].protocol":                   {"EndpointSlice ports[].protocol"},
	"EndpointSlice ports[].port":                       {"EndpointSlice ports[].port"},
	"EndpointSlice ports[].appProtocol":                {"Service spec.ports[].appProtocol"},

	"Service metadata":                                           {"ours: name, labels and owner; those of the ServiceExport's spec that package merge accepts"},
	"Service status":                                             {"never"},
	"Service spec.ports[].name":                                  {"Service spec.ports[].name"},
	"Service spec.ports[].protocol":                              {"Service spec.ports[].protocol"},
	"Service spec.ports[].appProtocol":                           {"Service spec.ports[].appProtocol"},
	"Service spec.ports[].port":                                  {"Service spec.ports[].port"},
	"Service spec.ports[].targetPort":                            {"Service spec.ports[].port"},
	"Service spec.ports[].nodePort":                              {"never"},
	"Service spec.selector":                                      {"never"},
	"Service spec.clusterIP":                                     {"ours: given by the API server; None where the exported Service is headless"},
	"Service spec.clusterIPs":                                    {"ours: likewise"},
	"Service spec.type":                                          {"ours: ClusterIP"},
	"Service spec.externalIPs":                                   {"never"},
	"Service spec.sessionAffinity":                               {"Service spec.sessionAffinity"},
	"Service spec.loadBalancerIP":                                {"never"},
	"Service spec.loadBalancerSourceRanges":                      {"never"},
	"Service spec.externalName":                                  {"never"},
	"Service spec.externalTrafficPolicy":                         {"never"},
	"Service spec.healthCheckNodePort":                           {"never"},
	"Service spec.publishNotReadyAddresses":                      {"never"},
	"Service spec.sessionAffinityConfig.clientIP.timeoutSeconds": {"Service spec.sessionAffinityConfig.clientIP.timeoutSeconds"},
	"Service spec.ipFamilies[]":                                  {"Service spec.ipFamilies[]"},
	"Service spec.ipFamilyPolicy":                                {"ours: as many as families"},
	"Service spec.allocateLoadBalancerNodePorts":                 {"never"},
	"Service spec.loadBalancerClass":                             {"never"},
	"Service spec.internalTrafficPolicy":                         {"Service spec.internalTrafficPolicy"},
	"Service spec.trafficDistribution":                           {"Service spec.trafficDistribution"},

	"ServiceImport metadata":                                           {"ours: name, labels and annotations; those of the ServiceExport's spec that package merge accepts"},
	"ServiceImport spec.ports[].name":                                  {"Service spec.ports[].name"},
	"ServiceImport spec.ports[].protocol":                              {"Service spec.ports[].protocol"},
	"ServiceImport spec.ports[].appProtocol":                           {"Service spec.ports[].appProtocol"},
	"ServiceImport spec.ports[].port":                                  {"Service spec.ports[].port"},
	"ServiceImport spec.ips":                                           {"ours: the address of the Service made here"},
	"ServiceImport spec.type":                                          {"Service spec.clusterIP"},
	"ServiceImport spec.sessionAffinity":                               {"Service spec.sessionAffinity"},
	"ServiceImport spec.sessionAffinityConfig.clientIP.timeoutSeconds": {"Service spec.sessionAffinityConfig.clientIP.timeoutSeconds"},
	"ServiceImport spec.ipFamilies[]":                                  {"Service spec.ipFamilies[]"},
	"ServiceImport spec.internalTrafficPolicy":                         {"Service spec.internalTrafficPolicy"},
	"ServiceImport spec.trafficDistribution":                           {"Service spec.trafficDistribution"},
	"ServiceImport status":                                             {"ours: ids of clusters, and conditions, where text of another cluster is made printable and cut by Show"},
}
