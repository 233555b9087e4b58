// swift-tools-version: 6.2

import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Puts the functions that a node at work runs through together: it then has two thirds of the memory resident.
let functionOrder = "--symbol-ordering-file=\(Context.packageDirectory)/packaging/functions.order"

let lld: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "--icf=safe", "-Xlinker", functionOrder, "-Xlinker", "--no-warn-symbol-ordering",
        ],
        .when(platforms: [.linux], configuration: .release)
    )
]

/// What `make build` asks for: a program that needs no library of the machine, glibc included, is loaded at a random
/// address, and has its relocations packed. It only starts when linked with `--disable-local-rpath`.
let everythingInside: [LinkerSetting] =
    Context.environment["SPEGEL_STATIC"] == nil
    ? []
    : [
        .unsafeFlags(
            ["-static-executable", "-Xclang-linker", "-static-pie", "-Xlinker", "--pack-dyn-relocs=relr"],
            .when(platforms: [.linux], configuration: .release)
        )
    ]

let package = Package(
    name: "spegel",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "spegel", targets: ["spegel"]),
        .executable(name: "spegel-sim", targets: ["spegel-sim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // Without its default traits the library needs no full Foundation, whose ICU data is 30 MB.
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // For the demo alone, which is in no image.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        .target(name: "OCI", swiftSettings: strict),
        .target(name: "Time", swiftSettings: strict),
        .target(name: "Files", swiftSettings: strict),
        .target(name: "StructuredText", swiftSettings: strict),
        .target(
            name: "Listening",
            dependencies: [.product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: strict
        ),
        .target(
            name: "HTTPLimits",
            dependencies: [.product(name: "NIOHTTP1", package: "swift-nio")],
            swiftSettings: strict
        ),
        .target(
            name: "HTTPServer",
            dependencies: [
                "HTTPLimits", "Listening", "Time",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "HTTPClient",
            dependencies: [
                "HTTPLimits", "Time",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Kubernetes",
            dependencies: [
                "Files", "HTTPClient", "StructuredText", "Time",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Multiformats",
            dependencies: [.product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: strict
        ),
        // Pure: no NIO, no logging, no clock.
        .target(
            name: "Membership",
            dependencies: [
                "Multiformats",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "ContentStore",
            dependencies: [
                "CSplice", "OCI", "Files", "StructuredText", "Time",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "ContainerdStore",
            dependencies: [
                "OCI", "ContentStore",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            exclude: ["Protos"],
            swiftSettings: strict
        ),
        .target(
            name: "LibP2P",
            dependencies: [
                "Listening", "Membership", "Multiformats", "Time",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            exclude: ["Protos"],
            swiftSettings: strict
        ),
        .target(
            name: "Kademlia",
            dependencies: [
                "Multiformats", "Time",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            exclude: ["Protos"],
            swiftSettings: strict
        ),
        // Pure: no NIO, no logging, no locks. It must depend on nothing else.
        .target(name: "Mirroring", dependencies: ["OCI", "Time"], swiftSettings: strict),
        // Pure as well. The simulator alone uses it so far.
        .target(name: "Swarm", dependencies: ["Multiformats", "Time"], swiftSettings: strict),
        .target(
            name: "Splicing",
            dependencies: ["CSplice", "OCI", "ContentStore", "Time"],
            swiftSettings: strict
        ),
        .target(
            name: "Routing",
            dependencies: [
                "OCI", "ContentStore", "Multiformats", "LibP2P", "Kademlia", "Kubernetes", "HTTPClient", "HTTPServer",
                "Files", "Listening", "StructuredText", "Time",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Registry",
            dependencies: [
                "OCI", "ContentStore", "Files", "HTTPLimits", "Listening", "Membership", "Mirroring", "Multiformats",
                "Routing", "Splicing", "Time",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Monitoring",
            dependencies: [
                "Time",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "NodeConfiguration",
            dependencies: [
                "OCI", "Files",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(name: "DebugAPI", swiftSettings: strict),
        .target(
            name: "DebugPage",
            dependencies: ["DebugAPI"],
            resources: [
                .embedInCode("Assets/page.css"), .embedInCode("Assets/page.js"), .embedInCode("Assets/icon.svg"),
            ],
            swiftSettings: strict
        ),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "CNameService"),
        .systemLibrary(name: "CSplice"),
        .executableTarget(
            name: "spegel",
            dependencies: [
                "CMalloc", "CNameService", "OCI", "Membership", "Multiformats", "ContentStore", "ContainerdStore",
                "LibP2P",
                "Kademlia", "Kubernetes", "HTTPClient", "HTTPServer", "Files", "StructuredText", "Routing", "Registry",
                "NodeConfiguration", "Monitoring", "DebugAPI", "DebugPage", "Time",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict,
            linkerSettings: lld + everythingInside
        ),
        .executableTarget(
            name: "spegel-demo",
            dependencies: [
                "OCI", "ContentStore", "HTTPClient", "Time",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "spegel-fuzz",
            dependencies: [
                "OCI", "Membership", "Multiformats", "ContentStore", "LibP2P", "Kademlia", "Mirroring", "Registry",
                "NodeConfiguration",
                "HTTPLimits", "HTTPServer", "Monitoring", "DebugPage", "Splicing", "Swarm", "TestSupport", "Time",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Fuzz",
            exclude: ["Corpus"],
            swiftSettings: strict,
            linkerSettings: lld
        ),
        .executableTarget(
            name: "spegel-soak",
            dependencies: [
                "Multiformats", "LibP2P", "Kademlia", "Routing", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/Soak",
            swiftSettings: strict,
            linkerSettings: lld
        ),
        // The node that the interoperation tests steer; it is in no image.
        .executableTarget(
            name: "interoperation-node",
            dependencies: [
                "Multiformats", "LibP2P", "Kademlia", "Routing",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Tests/Interoperation/Node",
            swiftSettings: strict
        ),
        .target(
            name: "Simulation",
            dependencies: ["Multiformats", "Kademlia", "Swarm", "Time"],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "spegel-sim",
            dependencies: [
                "Simulation", "Kademlia",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        .target(name: "TestSupport", dependencies: ["Files"], path: "Tests/TestSupport", swiftSettings: strict),
        .target(
            name: "RoutingTestSupport",
            dependencies: ["Routing"],
            path: "Tests/RoutingTestSupport",
            swiftSettings: strict
        ),
        .testTarget(
            name: "StructuredTextTests",
            dependencies: ["StructuredText", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HTTPClientTests",
            dependencies: [
                "HTTPClient", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HTTPServerTests",
            dependencies: [
                "HTTPServer", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "KubernetesTests",
            dependencies: [
                "Kubernetes", "HTTPClient", "StructuredText", "Files", "TestSupport", "Time",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "OCITests", dependencies: ["OCI", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "MultiformatsTests", dependencies: ["Multiformats", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ContentStoreTests",
            dependencies: [
                "ContentStore", "Files", "OCI", "TestSupport", "Time",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ContainerdStoreTests",
            dependencies: [
                "ContainerdStore", "ContentStore", "Files", "OCI", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "LibP2PTests",
            dependencies: [
                "LibP2P", "Membership", "Multiformats", "TestSupport", "Time",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "KademliaTests",
            dependencies: [
                "Kademlia", "Multiformats", "TestSupport", "Time", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["Simulation", "Kademlia", "Multiformats", "Swarm", "TestSupport", "Time"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SwarmTests",
            dependencies: ["Swarm", "Multiformats", "TestSupport", "Time"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RoutingTests",
            dependencies: [
                "Routing", "OCI", "ContentStore", "Multiformats", "LibP2P", "Kademlia", "Kubernetes", "HTTPClient",
                "HTTPServer", "Files", "RoutingTestSupport", "TestSupport", "Time",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "TimeTests", dependencies: ["Time", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "MembershipTests",
            dependencies: [
                "Membership", "Multiformats", "TestSupport", .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "MirroringTests",
            dependencies: ["Mirroring", "OCI", "TestSupport", "Time"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SplicingTests",
            dependencies: ["Splicing", "ContentStore", "OCI", "TestSupport", "Time"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RegistryTests",
            dependencies: [
                "Registry", "Membership", "Mirroring", "Routing", "ContentStore", "Files", "Multiformats", "OCI",
                "Splicing", "RoutingTestSupport", "TestSupport",
                "Monitoring", "Time",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "MonitoringTests",
            dependencies: [
                "Monitoring", "TestSupport", "Time",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "NodeConfigurationTests",
            dependencies: [
                "NodeConfiguration", "Files", "TestSupport", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DebugPageTests",
            dependencies: ["DebugAPI", "DebugPage", "StructuredText", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SpegelTests",
            dependencies: [
                "spegel", "ContainerdStore", "ContentStore", "DebugAPI", "DebugPage", "Files", "HTTPClient",
                "HTTPServer",
                "Kubernetes", "LibP2P", "Membership", "OCI", "Monitoring", "Multiformats", "NodeConfiguration",
                "Registry", "Routing",
                "StructuredText", "TestSupport", "Time",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6]
)

// The benchmarks bring dependencies that nothing else needs, so they are there only when asked for, as by
// `make bench-micro`. Within this package they reach what is `package`, as they could not from one of their own.
if Context.environment["SPEGEL_BENCHMARKS"] != nil {
    // Its default traits count allocations by replacing malloc.
    package.dependencies.append(.package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []))
    package.targets.append(
        .executableTarget(
            name: "SpegelBenchmarks",
            dependencies: [
                "OCI", "Multiformats", "LibP2P", "Kademlia", "Mirroring", "Registry", "Splicing", "TestSupport", "Time",
                .product(name: "Benchmark", package: "benchmark"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Benchmarks/SpegelBenchmarks",
            swiftSettings: strict,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        )
    )
}
