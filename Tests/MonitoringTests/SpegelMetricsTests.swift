import Testing

@testable import Monitoring

/// The catalogue of metrics, held against Prometheus' conventions.
struct SpegelMetricsTests {
    @Test func namesFollowTheConventions() {
        for family in SpegelMetrics.families {
            let name = family.name
            #expect(name.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") }, "\(name)")
            #expect((family.kind == .counter) == name.hasSuffix("_total"), "\(name)")
            #expect(!family.help.isEmpty && family.help.hasSuffix("."), "\(name)")
            for label in family.labels {
                #expect(Set(label.values ?? []).count == label.values?.count ?? 0, "\(name)")
                #expect(!["le", "quantile", "job", "instance"].contains(label.name), "\(name)")
            }
            if case .histogram(let buckets) = family.kind {
                #expect(!buckets.isEmpty && buckets == buckets.sorted() && Set(buckets).count == buckets.count)
            }
        }
        #expect(Set(SpegelMetrics.families.map(\.name)).count == SpegelMetrics.families.count)
    }

    @Test func theProcessIsDescribed() throws {
        let registry = MetricRegistry(SpegelMetrics.families)
        registry.collect { ProcessMetrics.collect(into: &$0) }
        let text = registry.text
        for family in ProcessMetrics.families {
            let line = try #require(
                text.split(separator: "\n").first { $0.hasPrefix(family.name + " ") },
                "\(family.name)"
            )
            let value = try #require(line.split(separator: " ").last.flatMap { Double($0) })
            #expect(value > 0, "\(line)")
        }
    }

    @Test func bytesOfTheNetworkAreReadByName() {
        let lines = [
            "TcpExt: SyncookiesSent InOctets", "TcpExt: 1 2", "IpExt: InNoRoutes InOctets OutOctets InMcastOctets",
            "IpExt: 5 18446744073709551615 77 9",
        ]
        #expect(ProcessMetrics.octets(lines).map { [$0.received, $0.sent] } == [Double(UInt64.max), 77])
        for odd in [
            [], ["IpExt: InOctets OutOctets"], ["IpExt: InOctets OutOctets", "IpExt: 1"], ["IpExt: ", "IpExt: "],
        ] {
            #expect(ProcessMetrics.octets(odd) == nil)
        }
    }

    @Test func proceduresOfTheSystemAreReadWhateverTheProgramIsCalled() {
        let fields = (3...52).map(String.init).joined(separator: " ")
        #expect(ProcessMetrics.startTicks("1 (a ) b (c)) \(fields)") == 22)
        for odd in [nil, "", "1", "1 (a", "1 (a) S", ")"] { #expect(ProcessMetrics.startTicks(odd) == nil) }
        #expect(ProcessMetrics.memoryPages("10 4 1 1 0 1 0").map { [$0.virtual, $0.resident] } == [10, 4])
        for odd in [nil, "", "10", "x y"] { #expect(ProcessMetrics.memoryPages(odd) == nil) }
    }
}
