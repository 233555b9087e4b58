import TestSupport
import Testing

@testable import NodeConfiguration

@Suite("hosts.toml")
struct HostsFileTests {
    private let path = "/certs.d/x/hosts.toml"

    private func read(_ text: String) throws -> ExistingHosts {
        try ExistingHosts(content: Array(text.utf8), path: path)
    }

    private func write(_ existing: ExistingHosts) -> String {
        var file = HostsFile(server: nil)
        for host in existing.hosts { file.append(host) }
        return file.text
    }

    @Test("mirrors")
    func mirrors() throws {
        var file = HostsFile(server: "https://registry-1.docker.io")
        let capabilities = ["pull", "resolve"]
        try file.addMirror(
            RegistryURL("http://127.0.0.1:30020"),
            capabilities: capabilities,
            dialTimeout: .milliseconds(200)
        )
        try file.addMirror(RegistryURL("http://[fd00::1]:30021"), capabilities: ["pull"], dialTimeout: nil)
        #expect(
            file.text == """
                server = "https://registry-1.docker.io"

                [host."http://127.0.0.1:30020"]
                capabilities = ["pull", "resolve"]
                dial_timeout = "200ms"

                [host."http://[fd00::1]:30021"]
                capabilities = ["pull"]

                """
        )
        #expect(try read(file.text).hosts.map(\.name) == ["http://127.0.0.1:30020", "http://[fd00::1]:30021"])
    }

    @Test("existing hosts keep their order and settings")
    func existing() throws {
        let text = """
            # before
            server = "https://upstream"
            [host."https://z.lab"]
              capabilities = ["pull", "resolve", 'push']
              ca = ["/a.pem", "b.pem"]
              skip_verify = true
              client = [["/c.cert", "/c.key"], ["/d.cert", ""]]
              override_path = false
              [host."https://z.lab".header]
                x-one = "1 \\"quoted\\" \\\\ é"
                "x two" = ["a", "b"]
            [host.'https://a.lab']
              number = 1
              fraction = 1.5
              when = 1979-05-27
              odd = { a = 1, b = { c = "d" } }
            """
        let existing = try read(text)
        #expect(existing.hosts.map(\.name) == ["https://z.lab", "https://a.lab"])
        let written = write(existing)
        let again = try read(written)
        #expect(again.hosts.map(\.name) == ["https://z.lab", "https://a.lab"])
        #expect(write(again) == written)
        let settings = again.hosts.map { TOMLText.inline(.table($0.settings)) }
        #expect(
            settings.first == """
                { capabilities = ["pull", "resolve", "push"], ca = ["/a.pem", "b.pem"], skip_verify = true, \
                client = [["/c.cert", "/c.key"], ["/d.cert", ""]], override_path = false, \
                header = { x-one = "1 \\"quoted\\" \\\\ é", "x two" = ["a", "b"] } }
                """
        )
        #expect(
            settings.last == """
                { number = 1, fraction = 1.5, when = 1979-05-27, odd = { a = 1, b = { c = "d" } } }
                """
        )
    }

    @Test("parses all forms of hosts, and none")
    func forms() throws {
        let inline = "host = { \"http://b\" = { capabilities = [\"pull\"] }, \"http://a\" = {} }"
        #expect(try read(inline).hosts.map(\.name) == ["http://b", "http://a"])
        let dotted = "host.\"http://b\".skip_verify = true\nhost.\"http://a\".skip_verify = true"
        #expect(try read(dotted).hosts.map(\.name) == ["http://b", "http://a"])
        #expect(
            try read("[host.\"http://b\"]\r\n[host.\"http://a\"]\r\n").hosts.map(\.name) == ["http://b", "http://a"]
        )
        #expect(try read("").hosts.isEmpty)
        #expect(try read("server = \"https://x\"").hosts.isEmpty)
    }

    @Test("error names path and line of a malformed file")
    func malformed() {
        func line(_ bytes: [UInt8]) -> Int? {
            do {
                _ = try ExistingHosts(content: bytes, path: path)
                return nil
            } catch {
                guard case .malformedFile(path, let line, let reason) = error, !reason.isEmpty else { return -1 }
                #expect(error.description.hasPrefix("\(path), line \(line): "))
                return line
            }
        }
        #expect(line(Array("server = \"x\"\n\n[host.".utf8)) == 3)
        #expect(line(Array("a = 1\nb = \n".utf8)) == 2)
        #expect(line(Array("a = 1\na = 2\n".utf8)) == 2)
        #expect(line(Array("a = \"\n\"".utf8)) == 1)
        #expect(line([0x61, 0x0A, 0xFF, 0xFE]) == 2)
        #expect(line(Array("a = 1\nb = 2\u{0}\n[".utf8)) == 2)
        #expect(line(Array("host = 1".utf8)) == 1)
        #expect(line(Array("[host]\nx = 1".utf8)) == 2)
        #expect(line(Array(("a = " + String(repeating: "[", count: 100_000)).utf8)) == 1)
        #expect(line(Array("server = \"https://x\"\n".utf8)) == nil)
    }

    @Test("never traps on random faults, and errors name a line", arguments: 0..<1000)
    func hostile(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var bytes = Array(
            "server = \"x\"\n[host.\"http://a\"]\nca = [\"a\", \"b\"]\n[host.\"http://b\".header]\nx = 1\n".utf8
        )
        for _ in 0..<Int.random(in: 1...5, using: &generator) {
            let position = Int.random(in: bytes.indices, using: &generator)
            let random = UInt8(truncatingIfNeeded: generator.next())
            bytes[position] =
                Bool.random(using: &generator)
                ? random : Array("\"'[]{}=.#\n\\".utf8).randomElement(using: &generator) ?? random
        }
        do {
            let existing = try ExistingHosts(content: bytes, path: path)
            // A parsed file can be written and parsed again.
            let written = write(existing)
            let again = try ExistingHosts(content: Array(written.utf8), path: path)
            #expect(again.hosts.map(\.name) == existing.hosts.map(\.name))
        } catch {
            guard case .malformedFile = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
