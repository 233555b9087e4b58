import FoundationEssentials

/// Valid inputs in a folder, with a subfolder for each target and a file for each input.
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

    /// Writes the inputs that a target generates.
    func write(_ target: FuzzTarget) throws {
        let path = folder + "/" + target.name
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for sample in try target.samples() {
            try Data(sample.bytes).write(to: URL(filePath: path + "/" + sample.name))
        }
    }
}

/// A missing corpus, or the failure of a target.
struct FuzzError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
