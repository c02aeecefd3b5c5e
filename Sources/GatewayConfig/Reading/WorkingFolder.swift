import Glibc

/// The working directory, by a name under which it is found again: a process stays in a folder that is moved, or that a link leads to no
/// more, and whoever names a file means the one that is there by then.
package enum WorkingFolder {
  /// The path from the root that a name has in the working directory. No link is followed, unless `..` stands behind one.
  ///
  /// - Parameter environment: a shell says in it (`$PWD`) how it has come there.
  /// - Returns: the name itself where the folder has none any more, and for the standard input.
  package static func path(_ name: String, environment: [String: String]) -> String {
    guard !name.hasPrefix("/"), !Disk.isStandardInput(name), let folder = self.name(in: environment) else {
      return name
    }
    let disk = Disk()
    let path = Paths.join(folder, name)
    guard name.split(separator: "/").contains(".."), !disk.isSameFile(path, name) else { return path }
    let directory = Paths.directory(of: name)
    return disk.resolved(directory.isEmpty ? "." : directory).map { Paths.join($0, Paths.name(of: name)) }
      ?? path
  }

  /// The name by which a shell has come there, perhaps through links, where it leads there; or else that of the system.
  ///
  /// - Returns: nil where it has none any more.
  private static func name(in environment: [String: String]) -> String? {
    if let written = environment["PWD"], written.hasPrefix("/"), Disk().isSameFile(written, ".") {
      return written
    }
    let current = Disk().absolute(".")
    return current.hasPrefix("/") ? current : nil
  }
}
