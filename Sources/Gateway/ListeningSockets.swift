package import GatewayConfig
import Transport

/// An address as it was bound, with the port that the system chose for port 0.
package struct BoundAddress: Sendable, Hashable {
  package var address: BindAddress
  package var isSecure = false

  /// The URL that an operator opens in a browser: `https://127.0.0.1:8443`, or `unix:PATH`.
  package var url: String {
    switch address {
    case .tcp: "\(isSecure ? "https" : "http")://\(address)"
    case .unix: isSecure ? "\(address) (TLS)" : "\(address)"
    }
  }
}

/// The sockets that the gateway listens on: each TCP address once for each worker, so that the kernel spreads the connections.
struct ListeningSockets {
  /// One address of the configuration.
  private struct Place {
    var wanted: ServerConfiguration.Listener
    var bound: BindAddress
    /// Identifies its sockets, one for each worker.
    let id: Int
    /// Of a Unix socket that this process has opened.
    var file: SocketFile?
    /// Whether a service manager has opened it.
    var isLent = false
    /// The unit of the service manager.
    var unit: String?

    /// What becomes of the file of the socket, where other users are to connect to it than before.
    func gift(by options: BindOptions) -> Gift? {
      guard let file, Gift.isNeeded(options, after: wanted.options) else { return nil }
      return Gift(file: file, before: wanted.options, options: options)
    }
  }

  /// A socket file to which other users are to connect.
  struct Gift {
    var file: SocketFile
    /// What the configuration has said of it until now.
    var before: BindOptions
    var options: BindOptions

    static func isNeeded(_ options: BindOptions, after before: BindOptions) -> Bool {
      options.mode != before.mode || options.group != before.group
    }

    /// What the options do not say any more is as for a file that is made anew.
    func give() throws(TransportFailure) {
      // Another process has its own file there by now.
      guard var access = file.access else { return }
      let (dropsGroup, dropsMode) = (
        before.group != nil && options.group == nil, before.mode != nil && options.mode == nil
      )
      if dropsGroup || dropsMode {
        let fresh = try file.freshAccess()
        if dropsGroup { access.group = fresh.group }
        if dropsMode { access.mode = fresh.mode }
      }
      // The group first, so that nobody gets in between.
      try Listener.setAccess(
        of: file.path, options.mode ?? (dropsMode ? access.mode : nil),
        options.group ?? (dropsGroup ? "\(access.group)" : nil))
    }

    /// Finds out whether that could be done.
    func rehearse() throws(TransportFailure) {
      try ListenerTrial.give(to: options.group, file.path)
    }
  }

  private var places: [Place] = []
  /// By the identification of the address: the worker, and its descriptor.
  private var descriptors: [Int: [(worker: Int, descriptor: Int32)]] = [:]
  /// By worker. The receiver owns them.
  private(set) var listeners: [[ListeningSocket]]
  /// Those of the process before at addresses that are not listened on any more, by worker: who waits in their queues is still to be
  /// accepted. The receiver owns them.
  private(set) var left: [[ListeningSocket]]
  private let isSharing: Bool
  private var nextID = 0

  private init(workers: Int, isSharing: Bool, firstID: Int = 0) {
    listeners = Array(repeating: [], count: workers)
    left = listeners
    self.isSharing = isSharing
    nextID = firstID
  }

  /// What could not be done for an address, to go on all the same. Told also whether it is listened on.
  typealias Trouble = (_ failure: GatewayServer.StartFailure, _ isOpen: Bool) -> Void

  /// - Parameters:
  ///   - isSharing: whether other processes may listen at the same TCP addresses.
  ///   - inherited: those of the process that this one takes the place of.
  ///   - trouble: nil where it is a failure.
  static func open(
    _ wanted: [ServerConfiguration.Listener], for workers: Int, isSharing: Bool = false,
    inheriting inherited: [InheritedListener] = [], trouble: Trouble? = nil
  ) throws -> ListeningSockets {
    var inherited = inherited
    var sockets = ListeningSockets(workers: workers, isSharing: isSharing)
    do {
      try sockets.open(
        wanted, beside: inherited.compactMap { BindAddress($0.bound) }, all: wanted, &inherited,
        trouble: trouble)
    } catch {
      for listener in inherited { listener.close() }
      throw error
    }
    for listener in inherited { sockets.leave(listener) }
    return sockets
  }

  /// Its address is not wanted any more, or written in another way.
  private mutating func leave(_ listener: InheritedListener) {
    listener.file?.remove()
    Descriptor.setInherited(listener.descriptor, false)
    let manners = ListeningSocket.Manners(
      id: newID(), isSecure: listener.isSecure, hasProxyHeader: listener.hasProxyHeader)
    left[listener.worker % left.count].append(
      ListeningSocket(descriptor: listener.descriptor, manners: manners))
  }

  /// Goes on with sockets that the process before has listened on.
  ///
  /// - Returns: false if there are none for this address.
  private mutating func take(
    _ wanted: ServerConfiguration.Listener, from inherited: inout [InheritedListener], trouble: Trouble?
  ) throws(TransportFailure) -> Bool {
    guard let first = inherited.first(where: { $0.isFound(at: wanted.address) }) else { return false }
    // Several addresses may leave the port to the system.
    let bound = Listener.address(of: first.descriptor)
    let isKnown = { (listener: InheritedListener) in
      listener.address == first.address && Listener.address(of: listener.descriptor) == bound
    }
    let known = inherited.filter(isKnown).sorted { $0.worker < $1.worker }.map(\.descriptor)
    inherited.removeAll(where: isKnown)
    for descriptor in known { Descriptor.setInherited(descriptor, false) }
    let all = try filled(known) { index throws(TransportFailure) in
      try Descriptor.duplicate(of: known[index % known.count]).take()
    }
    var place = Place(
      wanted: wanted, bound: wanted.address, id: newID(), isLent: first.isLent, unit: first.unit)
    switch wanted.address {
    case .tcp(let host, _): if case .tcp(_, let port)? = bound { place.bound = .tcp(host: host, port: port) }
    case .unix(let path): place.file = first.isLent ? nil : first.file ?? SocketFile(path: path)
    }
    if let file = place.file, Gift.isNeeded(wanted.options, after: first.options) {
      do throws(TransportFailure) {
        try Gift(file: file, before: first.options, options: wanted.options).give()
      } catch {
        trouble?(Self.failure(toGive: file, error), true)
      }
    }
    add(place, all)
    return true
  }

  /// All of them, for the process that takes this one's place. The workers own the descriptors.
  var inheritable: [InheritedListener] {
    places.flatMap { place in
      (descriptors[place.id] ?? []).map { worker, descriptor in
        var listener = InheritedListener(
          place.wanted.address, worker: worker, descriptor: descriptor, isLent: place.isLent)
        (listener.unit, listener.bound, listener.file) = (place.unit, "\(place.bound)", place.file)
        (listener.mode, listener.group) = (place.wanted.options.mode, place.wanted.options.group)
        listener.isSecure = place.wanted.isSecure
        listener.hasProxyHeader = place.wanted.options.proxyProtocol
        return listener
      }
    }
  }

  static func failure(
    toOpen address: BindAddress, _ reason: TransportFailure
  ) -> GatewayServer.StartFailure {
    var failure = GatewayServer.StartFailure(description: "cannot listen on \(address): \(reason)")
    if case .addressInUse = reason { failure.isAddressInUse = true }
    return failure
  }

  static func failure(toGive file: SocketFile, _ reason: TransportFailure) -> GatewayServer.StartFailure {
    GatewayServer.StartFailure(description: "cannot change unix:\(file.path): \(reason)")
  }

  /// - Parameters:
  ///   - open: the addresses that this process listens on already, and that may overlap.
  ///   - all: the addresses of the whole configuration.
  private mutating func open(
    _ wanted: [ServerConfiguration.Listener], beside open: [BindAddress], all: [ServerConfiguration.Listener],
    _ inherited: inout [InheritedListener], trouble: Trouble? = nil
  ) throws(GatewayServer.StartFailure) {
    for listener in wanted {
      do throws(TransportFailure) {
        guard try !take(listener, from: &inherited, trouble: trouble) else { continue }
        try self.open(
          listener, onlyV6: listener.address.leavesV4(to: all.map(\.address)),
          isShared: isSharing || open.contains { $0.mayOverlap(listener.address) })
      } catch {
        let failure = Self.failure(toOpen: listener.address, error)
        if let trouble {
          trouble(failure, false)
          continue
        }
        discard()
        throw failure
      }
    }
  }

  /// - Parameter isShared: whether a socket of this process may have the port on other addresses.
  private mutating func open(
    _ wanted: ServerConfiguration.Listener, onlyV6: Bool, isShared: Bool
  ) throws(TransportFailure) {
    var place = Place(wanted: wanted, bound: wanted.address, id: newID())
    switch wanted.address {
    case .tcp(let host, let port):
      // Sockets that share a port could share it with any other process of this user. So one that does not share is tried first, and
      // closed at once: that fails if a process listens there already.
      if port != 0, !isShared {
        _ = try Listener.tcp(host: host, port: port, reusePort: false, onlyV6: onlyV6, backlog: 1)
      }
      // Also a single one: a reload may move it to another address with the same port.
      let first = try Listener.tcp(host: host, port: port, reusePort: true, onlyV6: onlyV6)
      guard case .tcp(_, let realPort) = first.address else { return }
      place.bound = .tcp(host: host, port: realPort)
      add(
        place,
        try filled([first.take()]) { _ throws(TransportFailure) in
          try Listener.tcp(host: host, port: realPort, reusePort: true, onlyV6: onlyV6).take()
        })
    case .unix(let path):
      let first = try Listener.unix(path: path, mode: wanted.options.mode, group: wanted.options.group).take()
      place.file = SocketFile(path: path)
      do throws(TransportFailure) {
        add(
          place,
          try filled([first]) { _ throws(TransportFailure) in try Descriptor.duplicate(of: first).take() })
      } catch {
        place.file?.remove()
        throw error
      }
    }
  }

  private mutating func newID() -> Int {
    defer { nextID += 1 }
    return nextID
  }

  /// A socket for each worker at least. Where one cannot be had, all are closed.
  ///
  /// - Parameter next: opens one more; told the worker.
  private func filled(
    _ first: [Int32], _ next: (Int) throws(TransportFailure) -> Int32
  ) throws(TransportFailure) -> [Int32] {
    var descriptors = first
    do throws(TransportFailure) {
      while descriptors.count < listeners.count { descriptors.append(try next(descriptors.count)) }
    } catch {
      for descriptor in descriptors { _ = Descriptor(adopting: descriptor) }
      throw error
    }
    return descriptors
  }

  private mutating func add(_ place: Place, _ sockets: [Int32]) {
    places.append(place)
    for (index, descriptor) in sockets.enumerated() {
      let worker = index % listeners.count
      listeners[worker].append(
        ListeningSocket(
          descriptor: descriptor, manners: ListeningSocket.Manners(place.wanted, id: place.id)))
      descriptors[place.id, default: []].append((worker, descriptor))
    }
  }

  var addresses: [BoundAddress] {
    places.map { BoundAddress(address: $0.bound, isSecure: $0.wanted.isSecure) }
  }

  /// Socket files that only processes of this user can connect to, although the configuration does not ask for that.
  var privateFiles: [SocketFile] {
    places.filter { $0.wanted.options.mode == nil }.compactMap(\.file)
      .filter { $0.mode.map { $0 & 0o022 == 0 } ?? false }
  }

  /// Removes the socket files, so that no client connects without being answered.
  func remove() {
    for place in places { place.file?.remove() }
  }

  /// Closes what was opened and is nobody's yet.
  func discard() {
    remove()
    for listener in [listeners, left].joined().joined() { _ = Descriptor(adopting: listener.descriptor) }
  }
}

// MARK: - Other addresses

extension ListeningSockets {
  /// What becomes of the sockets when the addresses are others.
  struct Change {
    /// All sockets behind the change; `listeners` are those that were opened for it.
    var sockets: ListeningSockets
    var kept: [ListeningSocket.Manners] = []
    var closed: [Int] = []
    /// Files of Unix sockets that are not listened on any more.
    fileprivate var files: [SocketFile] = []

    /// The addresses that were opened.
    var opened: [BoundAddress] = []
    /// Those that are to be closed.
    var left: [BoundAddress] = []

    /// Files of sockets that stay, to which other users are to connect.
    fileprivate var given: [Gift] = []

    /// Lets other users connect to sockets that stay.
    ///
    /// - Throws: `StartFailure` where one of them cannot be changed. Then all are as before, and the change is given up.
    func giveFiles() throws(GatewayServer.StartFailure) {
      var before: [(SocketFile, SocketFile.Access)] = []
      for gift in given {
        if let access = gift.file.access { before.append((gift.file, access)) }
        do throws(TransportFailure) {
          try gift.give()
        } catch {
          for (file, access) in before { file.restore(access) }
          discard()
          throw ListeningSockets.failure(toGive: gift.file, error)
        }
      }
    }

    /// Gives the change up.
    func discard() {
      for listener in sockets.listeners.joined() { _ = Descriptor(adopting: listener.descriptor) }
      for place in sockets.places where opened.contains(where: { $0.address == place.bound }) {
        place.file?.remove()
      }
    }

    /// Clients find nobody at the old Unix sockets any more.
    func removeFiles() {
      for file in files { file.remove() }
    }
  }

  /// Opens the sockets for addresses that are new. Those of addresses that stay are kept, whatever is spoken there.
  func change(to wanted: [ServerConfiguration.Listener]) throws -> Change {
    var next = ListeningSockets(workers: listeners.count, isSharing: isSharing, firstID: nextID)
    var none: [InheritedListener] = []
    // Before anything is opened: a file that is made anew hides that it was gone.
    let lasting = lasting(in: wanted)
    try next.open(
      wanted.filter { listener in !lasting.contains { $0.1.address == listener.address } },
      beside: places.map(\.bound), all: wanted, &none)
    let opened = next.addresses
    var (kept, given): ([Place], [Gift]) = ([], [])
    for (place, same) in lasting {
      if let gift = place.gift(by: same.options) { given.append(gift) }
      kept.append(place)
      kept[kept.count - 1].wanted = same
    }
    let left = places.filter { place in !kept.contains { $0.id == place.id } }
    next.places = kept + next.places
    for place in kept { next.descriptors[place.id] = descriptors[place.id] }
    // Those whose file was gone are listened on anew.
    let ended = left.filter { place in !opened.contains { $0.address == place.bound } }
    return Change(
      sockets: next, kept: kept.map { ListeningSocket.Manners($0.wanted, id: $0.id) },
      closed: left.map(\.id), files: ended.compactMap(\.file), opened: opened,
      left: ended.map { BoundAddress(address: $0.bound, isSecure: $0.wanted.isSecure) }, given: given)
  }

  /// The address of a socket that a service manager has opened and that would not be listened on any more. The manager keeps it open, so
  /// clients would connect to it, and nobody would answer them.
  ///
  /// - Returns: also the unit of the manager.
  func lentAddress(notIn wanted: [ServerConfiguration.Listener]) -> (address: String, unit: String?)? {
    places.first { place in place.isLent && !wanted.contains { $0.address == place.wanted.address } }.map {
      ("\($0.wanted.address)", $0.unit)
    }
  }

  /// Finds out whether the sockets could be changed so. Nothing is changed by it, and nobody can connect meanwhile.
  func tryChange(to wanted: [ServerConfiguration.Listener]) throws(GatewayServer.StartFailure) {
    let lasting = lasting(in: wanted)
    for listener in wanted where !lasting.contains(where: { $0.1.address == listener.address }) {
      do throws(TransportFailure) {
        let isShared = isSharing || places.contains { $0.bound.mayOverlap(listener.address) }
        try Self.tryOpening(listener, all: wanted, isShared: isShared)
      } catch {
        throw Self.failure(toOpen: listener.address, error)
      }
    }
    for (place, same) in lasting {
      guard let gift = place.gift(by: same.options) else { continue }
      do throws(TransportFailure) {
        try gift.rehearse()
      } catch {
        throw Self.failure(toGive: gift.file, error)
      }
    }
  }

  /// Finds out whether one address could be listened on. Nothing is changed by it, and nobody can connect meanwhile.
  ///
  /// - Parameter isShared: whether a socket of this process may have the port on other addresses.
  static func tryOpening(
    _ listener: ServerConfiguration.Listener, all wanted: [ServerConfiguration.Listener], isShared: Bool
  ) throws(TransportFailure) {
    switch listener.address {
    case .tcp(let host, let port):
      try ListenerTrial.tcp(
        host: host, port: port, reusePort: isShared,
        onlyV6: listener.address.leavesV4(to: wanted.map(\.address)))
    case .unix(let path): try ListenerTrial.unix(path: path, group: listener.options.group)
    }
  }

  /// The places that are wanted, too, and what is wanted there.
  private func lasting(
    in wanted: [ServerConfiguration.Listener]
  ) -> [(Place, ServerConfiguration.Listener)] {
    places.compactMap { place in
      guard let same = wanted.first(where: { $0.address == place.wanted.address }),
        place.file?.isGone != true
      else { return nil }
      return (place, same)
    }
  }
}

extension BindAddress {
  /// Whether a socket of one address may be in the way of one of the other.
  func mayOverlap(_ other: BindAddress) -> Bool {
    guard case .tcp(_, let port) = self, case .tcp(_, let otherPort) = other else { return false }
    return port == otherPort
  }
}

/// A listening descriptor, and the protocol there.
struct ListeningSocket: Sendable {
  /// What is spoken at an address.
  struct Manners: Sendable {
    /// Identifies the sockets of the address, one for each worker.
    var id: Int
    var isSecure: Bool
    /// Whether connections begin with a header of the PROXY protocol.
    var hasProxyHeader: Bool

    init(id: Int, isSecure: Bool, hasProxyHeader: Bool) {
      (self.id, self.isSecure, self.hasProxyHeader) = (id, isSecure, hasProxyHeader)
    }

    init(_ listener: ServerConfiguration.Listener, id: Int) {
      self.init(id: id, isSecure: listener.isSecure, hasProxyHeader: listener.options.proxyProtocol)
    }
  }

  var descriptor: Int32
  var manners: Manners
}
