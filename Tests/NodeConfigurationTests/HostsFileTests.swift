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

    @Test("each containerd gets a form of IPv6 addresses that it reads")
    func addresses() throws {
        let text = """
            server = "https://up"
            [header]
            x-one = "1"
            [host."https://z.lab"]
            [host."http://[fd00::1]:30021"]
            capabilities = ["pull"]
            [host."http://[fd00::1]:30021".header]
            x-two = "2"
            [host."https://[fd00::2]"]
            skip_verify = true
            """
        let existing = try read(text)
        func written(_ reader: HostsReader) -> String {
            var file = HostsFile(server: "https://other", settings: existing.settings, reader: reader)
            for host in existing.hosts { file.append(host) }
            return file.text
        }
        let headers = """
            server = "https://up"

            [header]
            x-one = "1"

            [host."https://z.lab"]

            [host."http://[fd00::1]:30021"]
            capabilities = ["pull"]

            [host."http://[fd00::1]:30021".header]
            x-two = "2"

            [host."https://[fd00::2]"]
            skip_verify = true

            """
        #expect(written(.version2) == headers)
        #expect(
            written(.any)
                == headers.replacing("[fd00::1]", with: "fd00::1").replacing("[fd00::2]", with: "fd00::2:443")
        )
        #expect(
            written(.version1) == """
                server = "https://up"
                host."https://z.lab".capabilities = ["pull", "resolve", "push"]
                host."http://[fd00::1]:30021".capabilities = ["pull"]
                host."http://[fd00::1]:30021".header = { x-two = "2" }
                host."https://[fd00::2]".skip_verify = true

                [header]
                x-one = "1"

                """
        )
        // Without such an address there is nothing to avoid.
        var plain = HostsFile(server: nil, reader: .version1)
        for host in existing.hosts.prefix(1) { plain.append(host) }
        #expect(plain.text == "[host.\"https://z.lab\"]\n")
    }

    @Test("addresses are the same in each form")
    func normalised() {
        let same = ["http://[fd00::1]:5000", "http://fd00::1:5000", "HTTP://[FD00::1]:5000/", "http://fd00::1:5000//"]
        #expect(Set(same.map(HostAddress.normalised)) == ["http://fd00::1:5000"])
        #expect(HostAddress.normalised("registry.lab") == "https://registry.lab")
        for text in ["http://a@[::1]:5000", "http://[fe80::1%25eth0]:5000", "http://[::1", "]["] {
            #expect(HostAddress.withoutBrackets(text) == text)
        }
    }

    @Test("a file without some hosts keeps all else as it is")
    func withoutHosts() throws {
        let kept = "# mine\n  server = \"https://up\"\n\n[host.\"https://z.lab\"] # second\nca = \"x\"\n"
        let ours =
            "[host.\"http://127.0.0.1:30020\"]\n# theirs\ncapabilities = [\"pull\"]\n\n"
            + "[host.\"http://127.0.0.1:30020\".header]\nx = \"y\"\n"
        func without(_ text: String) -> String {
            let bytes = ExistingHosts.text(Array(text.utf8), without: ["http://127.0.0.1:30020", "http://[::1]:1"])
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(without(kept + ours) == kept)
        #expect(without(ours + kept) == kept.replacing("# mine\n  server = \"https://up\"\n\n", with: ""))
        #expect(without(kept) == kept)
        #expect(without("host.\"http://::1:1\".ca = \"x\"\n" + kept) == kept)
        #expect(without("[host.\"http://::1:1\"]") == "")
        #expect(without("[host") == "[host")
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
