import FoundationEssentials
import StructuredText
import Testing

@testable import Kubernetes

struct LeaseCodingTests {
    static let text = """
        {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l","namespace":"n",
        "resourceVersion":"42","labels":{"a":"b"},"uid":"u"},"spec":{"holderIdentity":"x","leaseDurationSeconds":15,
        "acquireTime":"2026-01-02T03:04:05.000006Z","renewTime":"2026-01-02T03:04:06.000007Z","leaseTransitions":7,
        "preferredHolder":"p"}}
        """

    let name: LeaseName

    init() throws {
        name = try #require(LeaseName(namespace: "n", name: "l"))
    }

    @Test func parsesLease() throws {
        let lease = try #require(Lease(json: Array(Self.text.utf8)))
        #expect(lease.version == "42")
        #expect(lease.record.holder == "x" && lease.record.duration == .seconds(15))
        #expect(lease.record.transitions == 7 && lease.record.renewTime == "2026-01-02T03:04:06.000007Z")
    }

    @Test func changeKeepsOtherFields() throws {
        let lease = try #require(Lease(json: Array(Self.text.utf8)))
        let renewal = LeaderElectionTests.change("me", transitions: 7, keeps: true)
        let new = try JSONDecoder().decode(
            JSONValue.self,
            from: Data(lease.json(changedBy: renewal, name: name, now: "NOW"))
        )
        #expect(new["metadata"]?["labels"]?["a"]?.text == "b" && new["metadata"]?["resourceVersion"]?.text == "42")
        let spec = try #require(new["spec"])
        #expect(spec["preferredHolder"]?.text == "p" && spec["holderIdentity"]?.text == "me")
        #expect(spec["acquireTime"]?.text == "2026-01-02T03:04:05.000006Z" && spec["renewTime"]?.text == "NOW")
        #expect(spec["leaseDurationSeconds"]?.integer == 10 && spec["leaseTransitions"]?.integer == 7)
    }

    @Test(arguments: [
        "", "[]", "{}", "{\"kind\":\"Lease\"}", "{\"kind\":\"Status\",\"metadata\":{\"resourceVersion\":\"1\"}}",
    ])
    func rejectsOtherObjects(_ text: String) {
        #expect(Lease(json: Array(text.utf8)) == nil)
    }

    @Test(arguments: [
        #"{"leaseDurationSeconds":-5,"leaseTransitions":99999999999}"#,
        #"{"leaseDurationSeconds":1e300,"holderIdentity":null}"#, #"{"leaseDurationSeconds":"ten"}"#, "null", "7",
    ])
    func neverTrapsOnOddSpecs(_ spec: String) throws {
        let text = #"{"kind":"Lease","metadata":{"resourceVersion":"1"},"spec":\#(spec)}"#
        let lease = try #require(Lease(json: Array(text.utf8)))
        #expect(lease.record.holder.isEmpty)
        #expect(lease.record.duration.map { $0 >= .zero } ?? true)
        _ = lease.json(changedBy: LeaderElectionTests.change("me", transitions: 0, keeps: true), name: name, now: "")
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000000Z"), (1_767_323_045_000_006, "2026-01-02T03:04:05.000006Z"),
    ])
    func timeHasSixDigits(_ microseconds: Int64, _ text: String) {
        #expect(MicroTime.text(microseconds: microseconds) == text)
    }

    @Test func validatesNames() {
        #expect(LeaseName(namespace: "spegel", name: "spegel-leader-election") != nil)
        #expect(LeaseName(namespace: "spegel", name: "a.b") != nil)
        for (namespace, name) in [
            ("", "l"), ("n", ""), ("n/x", "l"), ("N", "l"), ("n", "-l"), ("a.b", "l"), ("n", ".."),
        ] {
            #expect(LeaseName(namespace: namespace, name: name) == nil, "\(namespace) \(name)")
        }
    }
}
