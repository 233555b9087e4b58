import Routing

extension RegistryCommand {
    /// The source of the first peers that the options name, or `nil` for a node that waits for others.
    func bootstrapSource() throws -> (any BootstrapSource)? {
        switch try bootstrap() {
        case .none: nil
        case .addresses(let peers): StaticBootstrap(peers)
        case .domain(let domain): DNSBootstrap(domain: domain, port: routerAddr.port)
        }
    }
}
