/// The text of docs/spegel.1, in mdoc(7).
enum ManualPage {
    static func text(_ program: CommandInfo) -> String {
        var text = """
            .\\" Made from the program's own help by `make docs`.
            .Dd November 25, 2026
            .Dt SPEGEL 1
            .Os
            .Sh NAME
            .Nm spegel
            .Nd share container images between the nodes of a cluster
            .Sh SYNOPSIS

            """
        let commands = program.subcommands ?? []
        for command in commands { text += synopsis(command) }
        text += """
            .Sh DESCRIPTION
            .Nm
            is a stateless, peer-to-peer OCI registry mirror that runs on every node of a cluster.
            The containerd of a node asks it first.
            It finds a node that already holds the image and streams it from there.
            If no node has the image, it answers 404 at once, and containerd pulls from the upstream registry.
            .Pp
            A setting comes from its flag, else from its environment variable, else from the file that
            .Fl -config
            names; otherwise it has its default.
            .Pp
            This page lists all flags of
            .Cm registry ,
            as
            .Fl -help-hidden
            does;
            .Fl -help
            omits rare ones.
            .Sh COMMANDS

            """
        for command in commands { text += section(command) }
        text += """
            .Sh ENVIRONMENT
            Each flag of
            .Cm registry , configuration , cleanup
            and
            .Cm cleanup-wait
            that is a setting has a variable: its name in capitals, with underscores for dashes, such as
            .Ev REGISTRY_ADDR
            for
            .Fl -registry-addr .
            .Ev NO_COLOR
            turns off colours and moving bars.
            .Sh FILES
            .Bl -tag -width Ds
            .It Pa /etc/containerd/certs.d
            The registry configuration of containerd.
            Its previous content is in the subfolder
            .Pa _backup .
            .It Pa /etc/secrets/basic-auth
            The files
            .Pa username
            and
            .Pa password .
            .It Pa /var/lib/spegel
            The identity of the node.
            .El
            .Sh EXIT STATUS
            0 for success, 64 for a wrong command line, 1 for everything else.
            .Cm configuration --check , status
            and
            .Cm resolve
            exit with 1 as well if they find a fault.
            .Sh SEE ALSO
            .Xr containerd 8

            """
        return text
    }

    private static func synopsis(_ command: CommandInfo) -> String {
        var text = ".Nm\n.Cm \(command.commandName)\n"
        for argument in command.shown where argument.kind == "positional" {
            text += ".Ar \(argument.valueName ?? "value")\n"
        }
        for argument in command.shown where argument.kind == "option" && !argument.isOptional {
            text += ".Fl -\(argument.longName ?? "") Ar \(argument.valueName ?? "value")\n"
        }
        return command.shown.contains { $0.kind != "positional" && ($0.isOptional || $0.kind == "flag") }
            ? text + ".Op Ar option ...\n" : text
    }

    private static func section(_ command: CommandInfo) -> String {
        let (discussion, examples) = command.parts
        var text = ".Ss \(command.commandName)\n" + lines(command.abstract ?? "")
        if !discussion.isEmpty { text += lines(discussion) }
        for example in examples {
            text += ".Pp\n.Dl " + escaped(example) + "\n"
        }
        guard !command.shown.isEmpty else { return text }
        text += ".Bl -tag -width Ds\n"
        for argument in command.shown {
            let value = argument.valueName ?? "value"
            let more = argument.isRepeating ? " ..." : ""
            switch argument.kind {
            case "positional": text += ".It Ar \(value)\(more)\n"
            case "flag": text += ".It Fl -\(argument.longName ?? "")\n"
            default: text += ".It Fl -\(argument.longName ?? "") Ar \(value)\(more)\n"
            }
            text += lines(argument.meaning)
            if let standard = argument.defaultValue, !standard.isEmpty {
                text += "The default is\n.Ql \(escaped(standard)) .\n"
            }
        }
        return text + ".El\n"
    }

    /// Each sentence on a line of its own, as mdoc wants it.
    private static func lines(_ text: String) -> String {
        var lines: [String] = []
        var rest = text.replacing("\n", with: " ")[...]
        while let range = rest.firstRange(of: ". ") {
            lines.append(String(rest[..<range.lowerBound]) + ".")
            rest = rest[range.upperBound...]
        }
        lines.append(String(rest))
        return lines.map { escaped($0) + "\n" }.joined()
    }

    /// What roff takes for its own.
    private static func escaped(_ text: String) -> String {
        var text = text.replacing("\\", with: "\\e").replacing("…", with: "...").replacing("-", with: "\\-")
        if text.hasPrefix(".") || text.hasPrefix("'") { text = "\\&" + text }
        return text
    }
}
