package sysv

import "reflect"

// Place is where a field lies in its structure, in bytes.
type Place struct{ Offset, Size uintptr }

// Layout tells by the names of C where the fields of struct msqid_ds are taken to be; "" is the whole.
func Layout() map[string]Place {
	names := map[string]string{
		"stime": "msg_stime", "rtime": "msg_rtime", "ctime": "msg_ctime", "cbytes": "__msg_cbytes",
		"qnum": "msg_qnum", "qbytes": "msg_qbytes", "lspid": "msg_lspid", "lrpid": "msg_lrpid", "perm": "msg_perm",
		"Key": "msg_perm.__key", "Uid": "msg_perm.uid", "Gid": "msg_perm.gid", "Cuid": "msg_perm.cuid",
		"Cgid": "msg_perm.cgid", "Mode": "msg_perm.mode",
	}
	all := map[string]Place{"": {0, reflect.TypeFor[msqidDS]().Size()}}
	for _, t := range []reflect.Type{reflect.TypeFor[msqidDS](), reflect.TypeOf(msqidDS{}.perm)} {
		for i := range t.NumField() {
			if name, ok := names[t.Field(i).Name]; ok {
				all[name] = Place{t.Field(i).Offset, t.Field(i).Type.Size()}
			}
		}
	}
	return all
}

// InfoLayout does so for struct msginfo.
func InfoLayout() map[string]Place {
	t := reflect.TypeFor[msgInfo]()
	all := map[string]Place{"": {0, t.Size()}}
	for i := range t.NumField() {
		if f := t.Field(i); f.Name != "_" {
			all[f.Name] = Place{f.Offset, f.Type.Size()}
		}
	}
	return all
}

// Flags tells the numbers that x/sys lacks by their names in C.
func Flags() map[string]int {
	return map[string]int{
		"IPC_INFO": ipcInfo, "MSG_INFO": msgInfoAll, "MSG_STAT_ANY": msgStatAny, "MSG_NOERROR": msgNoError,
		"MSG_EXCEPT": msgExcept,
	}
}
