import Glibc

/// A folder that is removed with its content after the last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/spegel-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestError("cannot create a temporary folder") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        _ = try? ChildProcess.run(["rm", "-rf", "--one-file-system", path])
    }

    /// Creates a folder and its parents.
    func makeFolder(_ name: String) throws {
        _ = try ChildProcess.run(["mkdir", "-p", "\(path)/\(name)"])
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        guard let file = fopen("\(path)/\(name)", "w") else { throw TestError("cannot write \(path)/\(name)") }
        let written = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, written == bytes.count else { throw TestError("cannot write \(path)/\(name)") }
    }

    /// The content of a file, or `nil` when it does not exist.
    func read(_ name: String) -> [UInt8]? {
        guard let file = fopen("\(path)/\(name)", "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            guard count > 0 else { return bytes }
            bytes += buffer.prefix(count)
        }
    }
}

/// A failure of a test's own preparation.
struct TestError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
