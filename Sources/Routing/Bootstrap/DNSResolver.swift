import Glibc
import Multiformats
import NIOPosix
import Synchronization

/// Resolves names with the machine's configuration.
package enum DNSResolver {
    /// A name that cannot be resolved.
    package struct Failure: Error, CustomStringConvertible {
        let name: String
        let reason: String

        package var description: String { "cannot resolve \(name): \(reason)" }
    }

    /// The IPv4 and IPv6 addresses of a name, sorted.
    ///
    /// The C library cannot be interrupted. After the deadline its thread continues, and its result is dropped.
    package static func addresses(of name: String, deadline: Duration = .seconds(5)) async throws -> [IPAddress] {
        let answer = SingleAnswer<[IPAddress]>()
        return try await withThrowingTaskGroup(of: [IPAddress].self) { group in
            group.addTask {
                try await withTaskCancellationHandler {
                    try await withCheckedThrowingContinuation { continuation in
                        answer.set(continuation)
                        NIOThreadPool.singleton.submit { state in
                            guard case .active = state else {
                                answer.resume(with: .failure(CancellationError()))
                                return
                            }
                            answer.resume(with: Result { try lookUp(name) })
                        }
                    }
                } onCancel: {
                    answer.resume(with: .failure(CancellationError()))
                }
            }
            group.addTask {
                try await Task.sleep(for: deadline)
                throw Failure(name: name, reason: "timed out after \(deadline)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }

    private static func lookUp(_ name: String) throws -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        guard code == 0 else { throw Failure(name: name, reason: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var found: Set<IPAddress> = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ai_next
            guard let raw = entry.ai_addr else { continue }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let result = getnameinfo(
                raw,
                entry.ai_addrlen,
                &text,
                socklen_t(text.count),
                nil,
                0,
                NI_NUMERICHOST
            )
            guard result == 0 else { continue }
            let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            if let address = try? IPAddress(String(decoding: bytes, as: UTF8.self)) { found.insert(address) }
        }
        return found.sorted { "\($0)" < "\($1)" }
    }
}

/// A continuation that the first caller resumes.
private final class SingleAnswer<Value: Sendable>: Sendable {
    private enum State {
        case waiting
        case set(CheckedContinuation<Value, any Error>)
        case early(Result<Value, any Error>)
        case done
    }

    private let state = Mutex(State.waiting)

    func set(_ continuation: CheckedContinuation<Value, any Error>) {
        let early: Result<Value, any Error>? = state.withLock { state in
            if case .early(let result) = state {
                state = .done
                return result
            }
            state = .set(continuation)
            return nil
        }
        if let early { continuation.resume(with: early) }
    }

    func resume(with result: Result<Value, any Error>) {
        let continuation: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .waiting:
                state = .early(result)
                return nil
            case .set(let continuation):
                state = .done
                return continuation
            case .early, .done:
                return nil
            }
        }
        continuation?.resume(with: result)
    }
}
