import Multiformats
import NIOCore
import NIOPosix
import Synchronization

/// The addresses of this machine, which the registry always admits. They are gathered on demand, at most once in two
/// seconds.
///
/// A peer's address is not among them: joining the DHT gives no right.
final class OwnAddresses: Sendable {
    private static let lifetime = Duration.seconds(2)

    /// Whether the default gateways count, too: those of a pod are its node.
    private let includesGateway: Bool
    private let gathered = Mutex<(addresses: Set<IPAddress>, expiry: ContinuousClock.Instant)?>(nil)

    init(includesGateway: Bool) {
        self.includesGateway = includesGateway
    }

    /// Whether an address is among them.
    func contains(_ address: IPAddress) -> Bool {
        let now = ContinuousClock.now
        return gathered.withLock { gathered in
            if let gathered, now < gathered.expiry { return gathered.addresses.contains(address) }
            let addresses = gather()
            gathered = (addresses, now + Self.lifetime)
            return addresses.contains(address)
        }
    }

    private func gather() -> Set<IPAddress> {
        var addresses = includesGateway ? DefaultGateways.current() : []
        for device in (try? System.enumerateDevices()) ?? [] {
            if let text = device.address?.ipAddress, let ip = try? IPAddress(text) { addresses.insert(ip.unmapped) }
        }
        return addresses
    }
}
