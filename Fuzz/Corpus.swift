import FoundationEssentials

/// Valid inputs in a folder, one folder in it for each target and one file for each input.
struct Corpus {
    let folder: String

    /// The inputs of a target.
    ///
    /// - Throws: ``FuzzError`` when there are none.
    func inputs(of target: FuzzTarget) throws -> [FuzzTarget.Sample] {
        let path = folder + "/" + target.name
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path))?.sorted() ?? []
        guard !names.isEmpty else {
            throw FuzzError("expected valid inputs in \(path), found none; see --write-corpus")
        }
        return try names.map { name in
            FuzzTarget.Sample(name: name, bytes: Array(try Data(contentsOf: URL(filePath: path + "/" + name))))
        }
    }

    /// Writes the inputs that a target makes.
    func write(_ target: FuzzTarget) throws {
        let path = folder + "/" + target.name
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for sample in try target.samples() {
            try Data(sample.bytes).write(to: URL(filePath: path + "/" + sample.name))
        }
    }
}

/// Why there is nothing to feed, or what failed.
struct FuzzError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
