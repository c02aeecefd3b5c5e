package import Bytes
import Transport

// Where a layer is and how to log in there, for a process that takes another one's place. Never written into a file or a log.

/// Without what says how messages are written, and how many.
extension RedisLayerConfiguration: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(layout: .core)
    hosts = []
    while let field = try record.next() {
      switch field.number {
      case 1: if try field.flag() { layout = .pubSub }
      case 2: prefix = try field.text()
      case 3: hosts.append(try field.record())
      case 4: expiry = try field.duration()
      case 5: groupExpiry = try field.duration()
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, layout == .pubSub)
    // It may be empty, which is not the default.
    record.addAlways(2, text: prefix)
    for host in hosts { record.add(3, host) }
    record.add(4, expiry.wholeNanoseconds)
    record.add(5, groupExpiry.wholeNanoseconds)
  }
}

extension RedisHost: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(.unix(path: ""))
    var master = ""
    while let field = try record.next() {
      switch field.number {
      case 1:
        let address: Address = try field.record()
        place = .tcp(host: address.host, port: address.port)
      case 2: place = .unix(path: try field.text())
      case 3: master = try field.text()
      case 4: place = .sentinel(master: master, try field.record())
      case 5: database = try field.integer()
      case 6: credentials = try field.record()
      case 7: tls = try field.record()
      case 8: connectTimeout = try field.duration()
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    switch place {
    case .tcp(let host, let port): record.add(1, Address(host: host, port: port))
    case .unix(let path): record.add(2, text: path)
    case .sentinel(let master, let sentinels):
      record.add(3, text: master)
      record.add(4, sentinels)
    }
    record.add(5, database)
    record.add(6, credentials)
    if let tls { record.add(7, tls) }
    record.add(8, connectTimeout.wholeNanoseconds)
  }
}

extension RedisHost.Address: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(host: "", port: 0)
    while let field = try record.next() {
      switch field.number {
      case 1: host = try field.text()
      case 2: port = try field.integer(in: 0...65535)
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: host)
    record.add(2, port)
  }
}

extension RedisHost.Sentinels: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(addresses: [])
    while let field = try record.next() {
      switch field.number {
      case 1: addresses.append(try field.record())
      case 2: credentials = try field.record()
      case 3: tls = try field.record()
      case 4: connectTimeout = try field.duration()
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    for address in addresses { record.add(1, address) }
    record.add(2, credentials)
    if let tls { record.add(3, tls) }
    if let connectTimeout { record.add(4, connectTimeout.wholeNanoseconds) }
  }
}

extension RedisHost.Credentials: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init()
    while let field = try record.next() {
      switch field.number {
      case 1: username = try field.text()
      case 2: password = Secret(bytes: try field.bytes())
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    if let username { record.addAlways(1, text: username) }
    if let password { record.addAlways(2, password.bytes.rawBytes) }
  }
}

extension RedisHost.TLS: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init()
    while let field = try record.next() {
      switch field.number {
      case 1: verifiesCertificate = try !field.flag()
      case 2: verifiesHostname = try !field.flag()
      case 3: trustedCertificates = try field.text()
      case 4: certificate = try field.text()
      case 5: privateKey = try field.text()
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, !verifiesCertificate)
    record.add(2, !verifiesHostname)
    if let trustedCertificates { record.add(3, text: trustedCertificates) }
    if let certificate { record.add(4, text: certificate) }
    if let privateKey { record.add(5, text: privateKey) }
  }
}

extension RecordField {
  /// Written as nanoseconds.
  fileprivate func duration() throws(RecordedFault) -> Duration {
    .nanoseconds(try integer(as: Int64.self))
  }
}
