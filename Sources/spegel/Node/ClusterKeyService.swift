import Files
import Logging
import Membership
import ServiceLifecycle
import Synchronization

/// The cluster keys of a file. As a service it reads the file again, so that a key can change while the node runs.
final class ClusterKeyService: Service {
    /// How often the file is read.
    private static let interval = Duration.seconds(5)

    /// Why the file cannot be used.
    struct Failure: Error, Hashable, CustomStringConvertible {
        let description: String
    }

    /// The keys in force.
    let ring: KeyRing
    private let path: String
    private let logger: Logger
    /// What was wrong with the file at the last reading.
    private let failure = Mutex<Failure?>(nil)
    private let onChange: Mutex<@Sendable () async -> Void> = Mutex({})

    /// Reads the file.
    ///
    /// - Throws: a ``Failure`` that says what is wrong with it.
    init(path: String, logger: Logger) throws {
        self.path = path
        self.logger = logger
        let keys = try Self.read(path)
        ring = KeyRing(keys)
        logger.info("cluster key in force: nodes of Spegel in Go cannot join", metadata: Self.metadata(keys))
    }

    /// Sets what is done after a change of the keys.
    func whenChanged(_ action: @escaping @Sendable () async -> Void) {
        onChange.withLock { $0 = action }
    }

    /// Reads the file again. While that fails, the current keys stay.
    ///
    /// - Returns: whether other keys are in force now.
    @discardableResult
    func reload() -> Bool {
        do throws(Failure) {
            let keys = try Self.read(path)
            failure.withLock { $0 = nil }
            guard ring.change(to: keys) else { return false }
            logger.info("cluster key changed", metadata: Self.metadata(keys))
            return true
        } catch {
            let isNew = failure.withLock { failure in
                defer { failure = error }
                return failure != error
            }
            if isNew {
                logger.warning("cluster key unreadable: keeping the current ones", metadata: ["error": "\(error)"])
            }
            return false
        }
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.interval)
                guard self.reload() else { continue }
                await self.onChange.withLock { $0 }()
            }
        }
    }

    private static func read(_ path: String) throws(Failure) -> ClusterKeys {
        let bytes: [UInt8]?
        do {
            bytes = try Files.read(path, limit: ClusterKeyFile.maximumLength)
        } catch {
            throw Failure(description: "--cluster-key-file: \(error)")
        }
        guard let bytes else {
            throw Failure(description: "--cluster-key-file: expected a file at \(path), found none")
        }
        do {
            return try ClusterKeyFile.parse(bytes)
        } catch {
            throw Failure(description: "--cluster-key-file: \(path): \(error)")
        }
    }

    private static func metadata(_ keys: ClusterKeys) -> Logger.Metadata {
        [
            "key": "\(keys.current.fingerprint)",
            "alsoAccepted": .array(keys.others.map { .string($0.fingerprint) }),
        ]
    }
}
