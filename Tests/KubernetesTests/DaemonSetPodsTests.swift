import FoundationEssentials
import StructuredText
import Testing

@testable import Kubernetes

struct DaemonSetPodsTests {
    private func progress(_ status: String, generation: Int = 1) -> DaemonSetProgress? {
        DaemonSetProgress(
            json: Array(
                #"""
                {"metadata":{"generation":\#(generation)},"spec":{"selector":{"matchLabels":{"b":"2","a":"1"}}},
                "status":\#(status)}
                """#.utf8
            )
        )
    }

    @Test func countIsKnownOnceTheControllerHasSeenTheObject() throws {
        #expect(try #require(progress("{}")).desired == nil)
        #expect(try #require(progress(#"{"desiredNumberScheduled":0}"#)).desired == nil)
        let old = try #require(progress(#"{"observedGeneration":1,"desiredNumberScheduled":3}"#, generation: 2))
        #expect(old.desired == nil)
        let status = #"{"observedGeneration":2,"desiredNumberScheduled":3,"numberReady":1}"#
        let now = try #require(progress(status, generation: 2))
        #expect(now.desired == 3 && now.ready == 1 && now.selector == "a=1,b=2")
    }

    @Test(arguments: ["", "{", "[]", #"{"spec":{}}"#, #"{"spec":{"selector":{"matchLabels":{"a":1}}}}"#])
    func anotherDocumentIsNoDaemonSet(_ text: String) {
        #expect(DaemonSetProgress(json: Array(text.utf8)) == nil)
    }

    private func pod(_ text: String) throws -> DaemonSetPod? {
        DaemonSetPod(try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)))
    }

    @Test func podsAreReadAsFarAsTheyCame() throws {
        #expect(try pod(#"{"spec":{"nodeName":"n1"}}"#) == DaemonSetPod(node: "n1", address: nil, isReady: false))
        let waiting =
            #"{"spec":{"nodeName":"n1"},"status":{"phase":"Pending","podIP":"","containerStatuses":["#
            + #"{"state":{"running":{}}},{"state":{"waiting":{"reason":"ErrImagePull"}}}]}}"#
        #expect(
            try pod(waiting) == DaemonSetPod(node: "n1", address: nil, isReady: false, waitsFor: "ErrImagePull")
        )
        let ready =
            #"{"spec":{"nodeName":"n1"},"status":{"podIP":"10.0.0.1","conditions":["#
            + #"{"type":"Ready","status":"True"}]}}"#
        #expect(try pod(ready) == DaemonSetPod(node: "n1", address: "10.0.0.1", isReady: true))
    }

    @Test(arguments: [
        "{}", "[]", "null", #"{"spec":{"nodeName":""}}"#, #"{"spec":{"nodeName":"n"},"status":{"phase":"Failed"}}"#,
        #"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"nodeName":"n"}}"#,
    ])
    func podsThatNeverComeAreLeftOut(_ text: String) throws {
        #expect(try pod(text) == nil)
    }

    @Test func namesFollowTheRulesOfTheAPIServer() {
        #expect(DaemonSetName(namespace: "spegel", name: "spegel-cleanup")?.description == "spegel/spegel-cleanup")
        #expect(DaemonSetName(namespace: "a/b", name: "c") == nil)
        #expect(DaemonSetName(namespace: "a", name: "../x") == nil)
    }
}
