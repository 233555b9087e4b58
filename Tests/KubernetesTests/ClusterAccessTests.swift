import Files
import Testing

@testable import Kubernetes

struct ClusterAccessTests {
    func read(_ text: String) throws -> ClusterAccess {
        try ClusterAccess.kubeconfig(Array(text.utf8), folder: "/etc/k")
    }

    static let config = """
        apiVersion: v1
        kind: Config
        preferences: {}
        current-context: two
        clusters:
        - name: one
          cluster: {server: "https://other:1"}
        - cluster:
            server: https://api.lab:6443/prefix/
            certificate-authority-data: Q0E=
            tls-server-name: kubernetes
          name: two
        contexts:
          - context:
              cluster: two
              user: node   # a comment
              namespace: spegel
            name: two
        users:
        - name: node
          user:
            tokenFile: token
            client-certificate: /pki/client.crt
            client-key: client.key
        """

    @Test func usesCurrentContext() throws {
        let access = try read(Self.config)
        #expect("\(access.server)" == "https://api.lab:6443/prefix")
        #expect(access.namespace == "spegel" && access.serverName == "kubernetes")
        #expect(access.authority == .bytes(Array("CA".utf8)))
        #expect(access.bearerToken == .file("/etc/k/token"))
        #expect(access.clientCertificate == .file("/pki/client.crt") && access.clientKey == .file("/etc/k/client.key"))
        #expect(access.verifiesServer && access.warning == nil)
    }

    @Test func parsesJSON() throws {
        let access = try read(
            #"""
            {"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
             "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:8001", "insecure-skip-tls-verify": true}}],
             "users": [{"name": "u", "user": {"token": "abc"}}]}
            """#
        )
        #expect("\(access.server)" == "http://127.0.0.1:8001")
        #expect(try access.token() == "abc")
        #expect(!access.verifiesServer && access.warning != nil)
    }

    @Test(arguments: [
        ("current-context: two", "current-context: three", "context 'three'"),
        ("cluster: two\n", "cluster: four\n", "cluster 'four'"),
        ("user: node ", "user: other ", "user 'other'"),
        ("https://api.lab:6443/prefix/", "ftp://api.lab", "ftp://api.lab"),
        ("Q0E=", "Q0E!", "base64"), ("tokenFile: token", "exec: {command: x}", "exec"),
        ("kind: Config", "kind: *anchor", "anchors"), ("kind: Config", "kind: [", "line"),
    ])
    func errorNamesFault(_ old: String, _ new: String, _ word: String) throws {
        let text = Self.config.replacing(old, with: new)
        let error = try #require(throws: AccessError.self) { try read(text) }
        #expect(error.description.contains(word), "\(error)")
    }

    @Test func podUsesServiceAccount() throws {
        let folder = "/tmp/spegel-test-\(UInt64.random(in: 0...UInt64.max))"
        try Files.makeFolder(folder)
        defer { try? Files.remove(folder) }
        try Files.replace("\(folder)/namespace", with: Array("spegel\n".utf8))
        try Files.replace("\(folder)/token", with: Array("one\n".utf8))
        let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"]
        let access = try ClusterAccess.inCluster(environment: environment, folder: folder)
        #expect("\(access.server)" == "https://[fd00::1]:6443")
        #expect(access.namespace == "spegel")
        #expect(try access.token() == "one")
        try Files.replace("\(folder)/token", with: Array("two".utf8))
        #expect(try access.token() == "two")
        let error = try #require(throws: AccessError.self) { try access.check() }
        #expect(error.description.contains("ca.crt"))
        #expect(throws: AccessError.self) { try ClusterAccess.inCluster(environment: [:], folder: folder) }
    }
}
