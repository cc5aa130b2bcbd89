##! Notices hosts that show traffic of Kaspersky software. What is looked for stands in data.zeek.

@load base/frameworks/notice
@load base/protocols/dns
@load base/protocols/http
@load base/protocols/ssl

module Kaspector;

export {
	redef enum Notice::Type += {
		## A host contacted a service of the vendor, or asked for its name.
		Product_Seen
	};

	## What an indicator says.
	type Entry: record {
		## The service: update, reputation, ...
		category: string;
		## installed or ambiguous; none for what is not meant.
		strength: string;
		## Its identifier in the signature set.
		indicator: string;
	};

	## How long a host and service are not noticed again.
	option suppress_for = 1hr;

	## Whole names.
	const whole_names: table[string] of Entry = table() &redef;
	## Names that stand for all below them, too; the longest wins.
	const suffixes: table[string] of Entry = table() &redef;
	## Addresses that the vendor announces; the narrowest range wins.
	const ranges: table[subnet] of Entry = table() &redef;
}

const nothing: Entry = [$category="", $strength="none", $indicator=""];

global of_template: function(text: string): Entry;
global of_path: function(text: string): Entry;
global of_user_agent: function(text: string): Entry;
global of_issuer: function(text: string): Entry;
global of_subject: function(text: string): Entry;
global of_header: function(text: string): Entry;

## The entry of a domain name: exact before template before the longest suffix.
function of_name(name: string): Entry
	{
	local rest = to_lower(name);
	if ( ends_with(rest, ".") )
		rest = rest[:-1];
	if ( rest in whole_names )
		return whole_names[rest];
	local found = of_template(rest);
	if ( found$indicator != "" )
		return found;
	# A name has at most 127 labels.
	local labels = 0;
	while ( labels < 128 )
		{
		if ( rest in suffixes )
			return suffixes[rest];
		local parts = split_string1(rest, /\./);
		if ( |parts| < 2 )
			break;
		rest = parts[1];
		++labels;
		}
	return nothing;
	}

function notice(c: connection, entry: Entry, host: addr, place: string, observed: string)
	{
	if ( entry$strength == "none" )
		return;
	NOTICE([$note=Product_Seen,
	        $msg=fmt("Kaspersky %s service: %s (%s)", entry$category, place, entry$strength),
	        $sub=fmt("%s %s", entry$indicator, observed),
	        $conn=c, $src=host,
	        $identifier=cat(host, entry$category, entry$strength),
	        $suppress_for=suppress_for]);
	}

event dns_request(c: connection, msg: dns_msg, query: string, qtype: count, qclass: count)
	{
	notice(c, of_name(query), c$id$orig_h, "DNS query", query);
	}

event ssl_extension_server_name(c: connection, is_client: bool, names: string_vec)
	{
	if ( ! is_client )
		return;
	for ( i in names )
		notice(c, of_name(names[i]), c$id$orig_h, "TLS server name", names[i]);
	}

event http_header(c: connection, is_orig: bool, original_name: string, name: string, value: string)
	{
	if ( ! is_orig )
		return;
	if ( name == "HOST" )
		{
		local host = split_string1(value, /:/)[0];
		notice(c, of_name(host), c$id$orig_h, "HTTP host", host);
		}
	else if ( name == "USER-AGENT" )
		notice(c, of_user_agent(value), c$id$orig_h, "HTTP user agent", value);
	else
		# It speaks of the server.
		notice(c, of_header(name), c$id$resp_h, "HTTP header", original_name);
	}

event http_request(c: connection, method: string, original_URI: string, unescaped_URI: string, version: string)
	{
	notice(c, of_path(unescaped_URI), c$id$orig_h, "HTTP path", unescaped_URI);
	}

event x509_certificate(f: fa_file, cert_ref: opaque of x509, cert: X509::Certificate)
	{
	if ( ! f?$conns )
		return;
	for ( id, c in f$conns )
		{
		notice(c, of_issuer(cert$issuer), c$id$orig_h, "TLS server certificate", cert$issuer);
		notice(c, of_subject(cert$subject), c$id$orig_h, "TLS server certificate", cert$subject);
		}
	}

event connection_established(c: connection)
	{
	if ( c$id$resp_h in ranges )
		notice(c, ranges[c$id$resp_h], c$id$orig_h, "flow to a published address range", cat(c$id$resp_h));
	}
