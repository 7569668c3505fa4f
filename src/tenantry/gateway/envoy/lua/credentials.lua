-- What of a request says who asks, and what must not go further.

local BEARER = "base64url.bearer.authorization.k8s.io."

-- Returns the subprotocols without bearers (nil if none is left), and the first bearer's token.
local function without_bearer(protocols)
  if not protocols:find(BEARER, 1, true) then return protocols, nil end
  local kept, token = {}, nil
  for each in protocols:gmatch("[^,]+") do
    each = each:match("^%s*(.-)%s*$")
    if each:sub(1, #BEARER) == BEARER then token = token or each:sub(#BEARER + 1)
    else kept[#kept + 1] = each end
  end
  return #kept > 0 and table.concat(kept, ", ") or nil, token
end

-- Returns the names of headers to drop, and the client's impersonation as lines.
-- Names with underscores never come here: Envoy refuses them.
local function claimed(headers)
  local drop, n, lines = {}, 0, ""
  for name, value in pairs(headers) do
    local first = name:byte(1)
    if first == 105 and name:sub(1, 11) == "impersonate" then
      n = n + 1; drop[n] = name
      lines = lines .. name .. ": " .. value .. "\n"
    elseif first == 120 and (name:sub(1, 9) == "x-remote-" or name:sub(1, 11) == "x-tenantry-") then
      n = n + 1; drop[n] = name
    end
  end
  return drop, lines
end

-- Returns the cache key and the message to Python's identify, which differ in the certificate alone:
-- its digest is shorter, and Envoy has it at hand.
local function credential_of(handle, headers, bearer, impersonation)
  local before, key, message = "", "", ""
  local authorization = headers:get("authorization")
  if authorization then before = "authorization: " .. authorization .. "\n" end
  if bearer then before = before .. "websocket-bearer: " .. bearer .. "\n" end
  if CONFIG.certificates then
    local ssl = handle:streamInfo():downstreamSslConnection()
    if ssl and ssl:peerCertificatePresented() then
      if ssl:peerCertificateValidated() then
        key = "certificate: " .. ssl:sha256PeerCertificateDigest() .. "\n"
        message = function() return "certificate: " .. ssl:urlEncodedPemEncodedPeerCertificate() .. "\n" end
      else
        key = "certificate-unverified: 1\n"
      end
    end
  end
  -- Nobody was asked for a certificate yet, so whoever shows nothing may have one.
  if CONFIG.unasked and before == "" then key = "certificate-unasked: 1\n" end
  local after = ""
  if CONFIG.forwarded ~= "" then
    local n = headers:getNumValues(CONFIG.forwarded)
    for i = 0, n - 1 do
      after = after .. "forwarded-certificate: " .. headers:getAtIndex(CONFIG.forwarded, i) .. "\n"
    end
    if n > 0 then after = after .. "peer: " .. (handle:streamInfo():downstreamRemoteAddress():gsub(":%d+$", "")) .. "\n" end
  end
  after = after .. impersonation
  return before .. key .. after, function()
    return before .. (message == "" and key or message()) .. after
  end
end
