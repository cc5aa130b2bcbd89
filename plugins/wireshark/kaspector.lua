-- Marks packets that show traffic of Kaspersky software, for Wireshark and tshark (Lua 5.2 and 5.4).
--
-- What is looked for stands in a table: kaspector export wireshark -o kaspector.tsv
-- It is the file that KASPECTOR_TABLE names, or kaspector.tsv beside this script or in a folder of plugins. Without a table the script
-- ends with an error and the filter kaspector.indicator does not exist, so that nothing looks like a network without findings.

local FORMAT = "kaspector-wireshark/1"
local FILE = "kaspector.tsv"

local function candidates()
    local named = os.getenv("KASPECTOR_TABLE")
    if named and named ~= "" then
        return { named }
    end
    local here = debug.getinfo(1, "S").source:match("^@(.*)[/\\][^/\\]*$")
    local list = {}
    for _, folder in ipairs({ here or ".", Dir.personal_plugins_path(), Dir.global_plugins_path() }) do
        list[#list + 1] = folder .. "/" .. FILE
    end
    return list
end

local function fail(what)
    error("kaspector.lua: " .. what .. "; make the table anew: kaspector export wireshark -o " .. FILE, 0)
end

local function open()
    local tried = candidates()
    for _, path in ipairs(tried) do
        local file = io.open(path, "r")
        if file then
            return file, path
        end
    end
    fail("there is no table at " .. table.concat(tried, ", nor at "))
end

-- Rows by kind; values of names are keys, others are lists.
local rows = {
    ["name"] = {}, ["suffix"] = {}, ["template"] = {}, ["address"] = {}, ["user-agent"] = {},
    ["path"] = {}, ["path-prefix"] = {}, ["path-suffix"] = {}, ["ja3"] = {},
}
-- Names below a suffix that are not meant, as rows of nobody.
local NOBODY = {}

-- A template as a pattern of Lua: a star is one or more of a-z, 0-9 and a dash.
local function pattern(template)
    return "^" .. template:gsub("[%.%-%%]", "%%%0"):gsub("%*", "[a-z0-9-]+") .. "$"
end

local function bits_of(address)
    local groups, width = {}, 8
    if address:find(":", 1, true) then
        width = 16
        local before, after = address:match("^(.-)::(.*)$")
        local function list(text)
            local out = {}
            for group in (text or ""):gmatch("%x+") do
                out[#out + 1] = tonumber(group, 16)
            end
            return out
        end
        if before then
            local left, right = list(before), list(after)
            for _, group in ipairs(left) do groups[#groups + 1] = group end
            for _ = #left + #right + 1, 8 do groups[#groups + 1] = 0 end
            for _, group in ipairs(right) do groups[#groups + 1] = group end
        else
            groups = list(address)
        end
    else
        for group in address:gmatch("%d+") do
            groups[#groups + 1] = tonumber(group)
        end
    end
    local out = {}
    for _, group in ipairs(groups) do
        for at = width - 1, 0, -1 do
            out[#out + 1] = math.floor(group / 2 ^ at) % 2 == 1 and "1" or "0"
        end
    end
    return table.concat(out)
end

local function load_table()
    local file, path = open()
    local first = file:read("*l")
    if not first or first:gsub("\r$", "") ~= FORMAT then
        fail(path .. " does not begin with " .. FORMAT)
    end
    local number = 1
    for line in file:lines() do
        number = number + 1
        if line ~= "" and line:sub(1, 1) ~= "#" then
            local kind, value, indicator, category, strength = line:match("^([^\t]+)\t([^\t]+)\t([^\t]+)\t([^\t]+)\t([^\t]+)$")
            if not kind then
                fail(path .. ":" .. number .. ": not five columns")
            end
            local row = { value = value, indicator = indicator, category = category, strength = strength }
            local meant = kind:match("^not%-(.*)$")
            if meant then
                kind, row = meant, { value = value, nobody = NOBODY }
            end
            if rows[kind] == nil then
                fail(path .. ":" .. number .. ": unknown kind " .. kind)
            elseif kind == "name" or kind == "suffix" or kind == "ja3" then
                rows[kind][value] = row
            else
                if kind == "template" then
                    row.pattern = pattern(value)
                elseif kind == "address" then
                    local address, bits = value:match("^(.*)/(%d+)$")
                    if not address then
                        fail(path .. ":" .. number .. ": no range of addresses")
                    end
                    row.bits = bits_of(address):sub(1, tonumber(bits))
                    row.is_six = address:find(":", 1, true) ~= nil
                end
                rows[kind][#rows[kind] + 1] = row
            end
        end
    end
    file:close()
    table.sort(rows.template, function(one, other) return #one.value > #other.value end)
end

load_table()

-- Exact before template before the longest suffix, on label boundaries. A name that is not meant is nobody's.
local function of_name(name)
    name = name:lower():gsub("%.$", "")
    local found = rows.name[name]
    if not found then
        for _, row in ipairs(rows.template) do
            if name:match(row.pattern) then
                found = row
                break
            end
        end
    end
    local rest = name
    while not found and rest do
        found = rows.suffix[rest]
        rest = rest:match("^[^.]*%.(.+)$")
    end
    if found and not found.nobody then
        return found
    end
end

local function of_host(host)
    return of_name(host:gsub(":%d+$", ""))
end

-- The host of CONNECT host:port and of http://host:port/path.
local function of_target(target)
    local host = target:match("^%a[%w+.-]*://([^/?#]+)") or target:match("^([^/?#]+):%d+$")
    return host and of_host(host)
end

local function of_path(target)
    local path = target:gsub("^%a[%w+.-]*://[^/?#]*", ""):gsub("[?#].*$", ""):lower()
    for _, row in ipairs(rows["path"]) do
        if path:find(row.value, 1, true) then return row end
    end
    for _, row in ipairs(rows["path-prefix"]) do
        if path:sub(1, #row.value) == row.value then return row end
    end
    for _, row in ipairs(rows["path-suffix"]) do
        if path:sub(-#row.value) == row.value then return row end
    end
end

local function of_user_agent(agent)
    agent = agent:lower()
    for _, row in ipairs(rows["user-agent"]) do
        if agent:sub(1, #row.value) == row.value then return row end
    end
end

local function of_ja3(hash)
    return rows.ja3[hash]
end

-- Answers for addresses are kept, and forgotten all at once when there are too many.
local known, count = {}, 0
local function of_address(address)
    local found = known[address]
    if found == nil then
        found = false
        local bits, longest = bits_of(address), -1
        local is_six = address:find(":", 1, true) ~= nil
        for _, row in ipairs(rows.address) do
            if row.is_six == is_six and #row.bits > longest and bits:sub(1, #row.bits) == row.bits then
                found, longest = row, #row.bits
            end
        end
        if count >= 65536 then
            known, count = {}, 0
        end
        known[address], count = found, count + 1
    end
    return found or nil
end

-- Fields of Wireshark, what they are called in Kaspector, and how they are looked up. Not every version has all of them.
local looked_at = {}
local function look(name, field, of)
    local there, extractor = pcall(Field.new, name)
    if there then
        looked_at[#looked_at + 1] = { extractor = extractor, field = field, of = of }
    end
end
look("dns.qry.name", "dns.query", of_name)
look("dns.resp.name", "dns.answer", of_name)
look("dns.cname", "dns.answer", of_name)
look("tls.handshake.extensions_server_name", "tls.sni", of_name)
look("http.host", "http.host", of_host)
look("http.request.uri", "http.target", of_target)
look("http.request.uri", "http.path", of_path)
look("http.user_agent", "http.user_agent", of_user_agent)
look("http2.headers.authority", "http.host", of_host)
look("socks.remote_name", "socks.domain", of_name)
look("socks.v4a_dns_name", "socks.domain", of_name)
look("tls.handshake.ja3", "tls.ja3", of_ja3)
look("ip.dst", "ip.address", of_address)
look("ipv6.dst", "ip.address", of_address)
local certificate_names = Field.new("x509ce.dNSName")

local kaspector = Proto("kaspector", "Kaspersky software, by Kaspector's signature set")
local fields = {
    indicator = ProtoField.string("kaspector.indicator", "Indicator"),
    category = ProtoField.string("kaspector.category", "Service"),
    strength = ProtoField.string("kaspector.strength", "Strength"),
    field = ProtoField.string("kaspector.field", "Field"),
    observed = ProtoField.string("kaspector.observed", "Observed"),
}
kaspector.fields = { fields.indicator, fields.category, fields.strength, fields.field, fields.observed }

local function mark(tree, row, field, observed)
    local branch = tree:add(kaspector, "Kaspector: " .. row.indicator .. " " .. row.category .. " " .. row.strength)
    branch:add(fields.indicator, row.indicator):set_generated()
    branch:add(fields.category, row.category):set_generated()
    branch:add(fields.strength, row.strength):set_generated()
    branch:add(fields.field, field):set_generated()
    branch:add(fields.observed, observed):set_generated()
end

function kaspector.dissector(_, _, tree)
    local marked = {}
    local function once(row, field, observed)
        local key = row.indicator .. field .. observed
        if not marked[key] then
            marked[key] = true
            mark(tree, row, field, observed)
        end
    end
    for _, place in ipairs(looked_at) do
        for _, info in ipairs({ place.extractor() }) do
            local observed = tostring(info)
            local row = place.of(observed)
            if row then
                once(row, place.field, observed)
            end
        end
    end
    -- A certificate of many customers names others as well: it counts when all of its names are meant.
    local found = {}
    for _, info in ipairs({ certificate_names() }) do
        local observed = tostring(info)
        local row = of_name((observed:gsub("^%*%.", "")))
        if not row then
            return
        end
        found[#found + 1] = { row, observed }
    end
    for _, pair in ipairs(found) do
        once(pair[1], "tls.certificate", pair[2])
    end
end

register_postdissector(kaspector, true)
