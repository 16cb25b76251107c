import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { History } from "lucide-react";
import { useState } from "react";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { EmptyState } from "@/layout/states";
import { showDone } from "@/layout/toasts";
import { cn } from "@/lib/cn";
import { useFormat } from "@/session/company";
import { type Texts, useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { ConfirmDialog } from "@/ui/dialog";

import { differenceOf } from "./difference";
import { isRestorable, textOfValue } from "./history-values";
import { usePersonName } from "./people";
import { configQuery, type ConfigVersion, versionsQuery } from "./queries";
import { RegressionsDialog, regressionsOf } from "./regressions";
import { Loaded, Section } from "./section";

const route = getRouteApi("/app/settings/history");

/** The last changes of the assistant: what differs, by whom, and the way back. */
export function HistorySection() {
  const { settings } = useTexts("settings");
  const versions = useQuery(versionsQuery);
  const [restored, setRestored] = useState<ConfigVersion | null>(null);
  return (
    <Section name="history">
      <Loaded query={versions}>
        {(list) =>
          list.length === 0 ? (
            <EmptyState icon={History} title={settings.history.empty}>
              <p>{settings.history.emptyHint}</p>
            </EmptyState>
          ) : (
            <ul className="grid gap-3">
              {list.map((version) => (
                <VersionItem key={version.id} version={version} onRestore={() => setRestored(version)} />
              ))}
            </ul>
          )
        }
      </Loaded>
      {restored !== null && <Restore version={restored} onClose={() => setRestored(null)} />}
    </Section>
  );
}

const labelOfField = (field: string, { settings }: Pick<Texts, "settings">) => settings.fields[field] ?? field;

function VersionItem({ version, onRestore }: { version: ConfigVersion; onRestore: () => void }) {
  const all = useTexts("settings");
  const format = useFormat();
  const nameOf = usePersonName();
  const { version: open } = route.useSearch();
  const isOpen = open === version.id;
  const fields = version.changes.map(({ field }) => labelOfField(field, all)).join(", ");
  return (
    <li>
      <Card>
        <CardContent className="grid gap-3">
          <div className="flex flex-wrap items-center justify-between gap-3">
            <div className="min-w-0">
              <p className="font-medium break-words">{fields}</p>
              <p className="text-sm break-words text-muted-foreground">
                {format.dateTime(version.at)} · <bdi>{nameOf(version.changed_by)}</bdi>
              </p>
            </div>
            <div className="flex gap-2">
              <Button variant="outline" size="sm" asChild>
                <Link to="/settings/history" search={{ version: isOpen ? undefined : version.id }} replace aria-expanded={isOpen}>
                  {isOpen ? all.settings.history.hide : all.settings.history.show}
                </Link>
              </Button>
              {isRestorable(version) && (
                <Button variant="outline" size="sm" onClick={onRestore}>
                  {all.settings.history.restore}
                </Button>
              )}
            </div>
          </div>
          {isOpen && version.changes.map((change) => <Difference key={change.field} {...change} />)}
        </CardContent>
      </Card>
    </li>
  );
}

/** One changed field: what was removed and what was added, told apart by more than colour. */
function Difference({ field, before, after }: { field: string; before: unknown; after: unknown }) {
  const all = useTexts("settings");
  const text = (value: unknown) => shownValue(field, value, all) ?? all.settings.history.standard;
  return (
    <div className="grid gap-1.5 border-t pt-3">
      <p className="text-sm font-medium">{labelOfField(field, all)}</p>
      <div dir="auto" className="max-h-96 overflow-y-auto rounded-md bg-muted p-3 text-sm break-words whitespace-pre-wrap">
        {differenceOf(text(before), text(after)).map(({ kind, text: part }, index) => {
          if (kind === "same") return <span key={index}>{part}</span>;
          const Mark = kind === "added" ? "ins" : "del";
          return (
            <Mark
              key={index}
              className={cn("rounded-sm px-0.5", kind === "added" ? "bg-success-surface text-success underline" : "bg-card text-destructive line-through")}
            >
              {part}
            </Mark>
          );
        })}
      </div>
    </div>
  );
}

function shownValue(field: string, value: unknown, { settings, common }: Pick<Texts, "settings" | "common">): string | null {
  if (typeof value === "boolean") return value ? common.yes : common.no;
  if (Array.isArray(value) && value.length === 0) return common.none;
  if (field === "outside_hours") return value === "hand_over" ? settings.hour.handsOver : settings.hour.answers;
  if (field === "unsupported_messages") return value === "hand_over" ? settings.bot.unsupportedHandOver : settings.bot.unsupportedReply;
  if (field === "business_hours" && value === null) return settings.hour.always;
  return textOfValue(value);
}

function Restore({ version, onClose }: { version: ConfigVersion; onClose: () => void }) {
  const all = useTexts("settings");
  const text = all.settings.history;
  const format = useFormat();
  const queries = useQueryClient();
  const restore = useMutation({
    mutationFn: async (accepts: boolean) => {
      const params = { path: { id: version.id } };
      return (await call(client.POST("/api/v1/companies/me/config/versions/{id}/restore", { params, body: { accept_regressions: accepts } }))).data;
    },
    onSuccess: async (config) => {
      queries.setQueryData(configQuery.queryKey, config);
      await queries.invalidateQueries({ queryKey: ["config", "versions"] });
      showDone(text.restored);
      onClose();
    },
    meta: { showsError: true },
  });
  const regressions = regressionsOf(restore.error);
  if (regressions !== null) {
    return <RegressionsDialog regressions={regressions} isBusy={restore.isPending} onAccept={() => restore.mutate(true)} onClose={onClose} />;
  }
  return (
    <ConfirmDialog
      title={text.restoreTitle}
      text={
        <div className="grid gap-2">
          <p>{text.restoreText(format.dateTime(version.at))}</p>
          <FormError error={restore.error} />
        </div>
      }
      confirm={text.restore}
      isBusy={restore.isPending}
      onConfirm={() => restore.mutate(false)}
      onClose={onClose}
    />
  );
}
