"""One small program per language: what a caller must still see, and what only its author needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    head: str
    body: str
    tail: str
    signatures: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join([self.head, *(self.body.replace("1", str(number)) for number in range(12)), self.tail])


PROGRAMS = (
    Program(
        "app/pool.py",
        'import socket\n\nLIMIT = 30\n\n\nclass Pool:\n    size = 4\n\n    @property\n    def free(self) -> int:\n        """Return how many are free.\n\n        Long talk.\n        More talk.\n        """',
        "        value1 = self.size\n        value1 += 1",
        "        return value\n\n    async def close(self, hard: bool = False) -> None:\n        self.size = 0\n",
        ("import socket", "LIMIT = 30", "class Pool:", "@property", "def free(self) -> int:", "Return how many are free.", "async def close(self, hard: bool = False) -> None:"),
    ),
    Program(
        "web/pool.js",
        "import net from 'net';\nexport const LIMIT = 30;\nexport function free(pool) {",
        "  const value1 = pool.size;\n  pool.use(value1);",
        "  return 0;\n}\ntest('closes', async () => {\n  close();\n});\n",
        ("import net from 'net';", "export const LIMIT = 30;", "export function free(pool) {", "test('closes', async () => {"),
    ),
    Program(
        "web/pool.ts",
        "import net from 'net';\nexport interface Pool { size: number }\nexport class Keeper {\n  private free(pool: Pool): number {",
        "    const value1: number = pool.size;\n    pool.use(value1);",
        "    return 0;\n  }\n}\n",
        ("export interface Pool { size: number }", "export class Keeper {", "private free(pool: Pool): number {"),
    ),
    Program(
        "web/Pool.tsx",
        "import React from 'react';\nexport const Pool = ({ size }: Props) => {",
        "  const value1 = useState(size);\n  use(value1);",
        "  return <b>{size}</b>;\n};\n",
        ("export const Pool = ({ size }: Props) => {",),
    ),
    Program(
        "pool/pool.go",
        'package pool\n\nimport "net"\n\ntype Pool struct {\n\tSize int\n}\n\nfunc (p *Pool) Free() int {',
        "\tvalue1 := p.Size\n\tuse(value1)",
        "\treturn 0\n}\n\nfunc Close(p *Pool) error {\n\treturn nil\n}\n",
        ("package pool", "type Pool struct {", "\tSize int", "func (p *Pool) Free() int {", "func Close(p *Pool) error {"),
    ),
    Program(
        "src/pool.rs",
        "use std::net;\n\npub struct Pool {\n    pub size: u32,\n}\n\nimpl Pool {\n    #[inline]\n    pub fn free(&self) -> u32 {",
        "        let value1 = self.size;\n        keep(value1);",
        "        0\n    }\n}\n",
        ("use std::net;", "pub struct Pool {", "    pub size: u32,", "impl Pool {", "#[inline]", "pub fn free(&self) -> u32 {"),
    ),
    Program(
        "src/Pool.java",
        "package a.b;\n\nimport java.net.Socket;\n\npublic final class Pool {\n    private int size = 4;\n\n    @Override\n    public int free() {",
        "        int value1 = size;\n        keep(value1);",
        "        return 0;\n    }\n}\n",
        ("import java.net.Socket;", "public final class Pool {", "private int size = 4;", "@Override", "public int free() {"),
    ),
    Program(
        "src/pool.c",
        "#include <stdio.h>\n\nstatic int limit = 30;\n\nint pool_free(struct pool *p)\n{",
        "    int value1 = p->size;\n    keep(value1);",
        "    return 0;\n}\n",
        ("#include <stdio.h>", "static int limit = 30;", "int pool_free(struct pool *p)"),
    ),
    Program(
        "src/pool.cpp",
        "#include <vector>\n\nnamespace a {\nint Pool::free() const {",
        "    int value1 = size_;\n    keep(value1);",
        "    return 0;\n}\n}\n",
        ("#include <vector>", "namespace a {", "int Pool::free() const {"),
    ),
    Program(
        "src/Pool.cs",
        "using System;\n\nnamespace A\n{\n    public class Pool\n    {\n        public int Free()\n        {",
        "            var value1 = Size;\n            Keep(value1);",
        "            return 0;\n        }\n    }\n}\n",
        ("using System;", "namespace A", "public class Pool", "public int Free()"),
    ),
    Program(
        "lib/pool.rb",
        "require 'socket'\n\nclass Pool < Base\n  LIMIT = 30\n\n  def free(hard: false)",
        "    value1 = @size\n    keep(value1)",
        "    0\n  end\nend\n",
        ("require 'socket'", "class Pool < Base", "LIMIT = 30", "def free(hard: false)"),
    ),
    Program(
        "src/Pool.php",
        "<?php\nnamespace A;\n\nclass Pool extends Base\n{\n    public function free(int $n): int\n    {",
        "        $value1 = $this->size;\n        keep($value1);",
        "        return 0;\n    }\n}\n",
        ("namespace A;", "class Pool extends Base", "public function free(int $n): int"),
    ),
    Program(
        "bin/pool.sh",
        "#!/bin/bash\nset -e\nLIMIT=30\n\nfree_pool() {",
        '  value1="$1"\n  keep "$value1"',
        "  return 0\n}\n\nfree_pool now\n",
        ("#!/bin/bash", "LIMIT=30", "free_pool() {", "free_pool now"),
    ),
    Program(
        "web/pool.css",
        ":root {\n  --limit: 30;\n}\n.pool > .free {",
        "  --value1: 4px;\n  color: red;",
        "}\n.pool:hover { color: blue; }\n",
        (".pool > .free {", ".pool:hover { color: blue; }"),
    ),
)  # fmt: skip
