-- What is asked: the API server's RequestInfo, as far as routes, verdicts and the audit log need it.
-- Whatever is missed here is decided by the API server under the user's own name.

local VERBS = { POST = "create", GET = "get", HEAD = "get", PUT = "update", PATCH = "patch", DELETE = "delete" }
local LEGACY = {
  nodes = true, storageclasses = true, ingressclasses = true, priorityclasses = true,
  runtimeclasses = true, persistentvolumes = true,
}
local OF_NAMESPACES = { status = true, finalize = true }
local STREAMS = { exec = true, attach = true, portforward = true, proxy = true }
local REVIEWS = { selfsubjectaccessreviews = true, selfsubjectrulesreviews = true }

local function segments_of(plain)
  local parts, n = {}, 0
  for part in plain:gmatch("[^/]+") do n = n + 1; parts[n] = part end
  return parts, n
end

-- Fills facts.namespace, resource, name, subresource from parts[i] on.
local function read_resource(facts, parts, i)
  if parts[i] == "namespaces" and parts[i + 1] then
    facts.namespace = parts[i + 1]
    if parts[i + 2] and not OF_NAMESPACES[parts[i + 2]] then i = i + 2 end
  end
  facts.resource, facts.name, facts.subresource = parts[i], parts[i + 1], parts[i + 2]
end

-- Returns facts; without facts.resource it is no request for one.
local function request_facts(method, plain, query)
  local facts = { verb = VERBS[method] or method:lower(), long = false }
  local parts, n = segments_of(plain)
  local i
  if parts[1] == "api" then facts.group, facts.version, i = "", parts[2], 3
  elseif parts[1] == "apis" then facts.group, facts.version, i = parts[2], parts[3], 4
  end
  if not i or n < i then
    facts.verb = method:lower()
    return facts
  end
  local legacy = parts[i]
  if legacy == "watch" or legacy == "proxy" then
    i = i + 1
    if n < i then return facts end
  else legacy = nil end
  read_resource(facts, parts, i)
  if legacy then
    facts.verb, facts.subresource = legacy, nil
  elseif facts.verb == "get" and not facts.name then
    -- With a name the API server takes no notice of watch=1.
    facts.verb = is_on(query, "watch") and "watch" or "list"
  elseif facts.verb == "delete" and not facts.name then facts.verb = "deletecollection"
  end
  return facts
end

local function is_long_running(facts, query, upgrade)
  if upgrade or facts.verb == "watch" or facts.verb == "proxy" then return true end
  local sub = facts.subresource
  return sub ~= nil and (STREAMS[sub] == true or (sub == "log" and is_on(query, "follow")))
end

-- Whether the answer may depend on what the user sees: then Python has the word.
local function needs_verdict(facts, method)
  local resource = facts.resource
  if not resource then return false end
  local in_namespace = facts.namespace ~= nil and resource ~= "namespaces"
  if method == "GET" or method == "HEAD" then
    if in_namespace then
      return resource == "leases" and facts.namespace == "kube-node-lease" and facts.name ~= nil and not facts.subresource
    end
    return not facts.subresource
  end
  if method == "POST" then return facts.group == "authorization.k8s.io" and REVIEWS[resource] == true and not facts.name end
  return not in_namespace and LEGACY[resource] == true and facts.name ~= nil
end

-- Whether a refusal may only mean that the namespace is missing.
local function is_masked(facts, method)
  return method == "GET" and facts.namespace ~= nil and facts.resource ~= "namespaces" and not facts.subresource
    and (facts.verb == "get" or facts.verb == "list")
end

-- Whether a namespace may come to be, in which its maker is allowed more a moment later.
local function makes_namespace(facts, method, query)
  if facts.group ~= "" or facts.resource ~= "namespaces" or facts.subresource then return false end
  if query and query:find("dryRun", 1, true) then return false end
  return (method == "POST" and not facts.name) or (method == "PATCH" and facts.name ~= nil)
end
